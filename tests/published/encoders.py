"""The published models that read a whole sequence or an image, and those of two streams."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.foreign import Given
from tests.published import Published
from tests.published.llamas import joined, same

BERT_KEYS = {
    "vocab_size": "vocab_size",
    "context": "max_position_embeddings",
    "n_layers": "num_hidden_layers",
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
}
SEGMENTS = {"type_vocab_size": 2}


def blocks(ours: str, theirs: str) -> dict[str, Given]:
    """Return the layers of BERT, under these names."""
    return {
        **joined(f"{ours}layers.{{i}}.attention.qkv", f"{theirs}{{i}}.attention.self.", "query key value", bias=True),
        **same(
            {
                f"{ours}layers.{{i}}.attention.out": f"{theirs}{{i}}.attention.output.dense",
                f"{ours}layers.{{i}}.norm_1": f"{theirs}{{i}}.attention.output.LayerNorm",
                f"{ours}layers.{{i}}.ffn.up": f"{theirs}{{i}}.intermediate.dense",
                f"{ours}layers.{{i}}.ffn.down": f"{theirs}{{i}}.output.dense",
                f"{ours}layers.{{i}}.norm_2": f"{theirs}{{i}}.output.LayerNorm",
            },
            bias=True,
        ),
    }


BERT: dict[str, Given] = {
    "encoder.tok.weight": "bert.embeddings.word_embeddings.weight",
    "encoder.embed.weight": "bert.embeddings.token_type_embeddings.weight",
    "encoder.position.weight": "bert.embeddings.position_embeddings.weight",
    **blocks("encoder.", "bert.encoder.layer."),
    **same(
        {
            "encoder.norm": "bert.embeddings.LayerNorm",
            "word.linear": "cls.predictions.transform.dense",
            "word.norm": "cls.predictions.transform.LayerNorm",
            "sentence.linear": "bert.pooler.dense",
        },
        bias=True,
    ),
    "word.logits.bias": "cls.predictions.bias",
}


def bert(layers: int, width: int, heads: int) -> Published:
    """Return a BERT of a size, without its classifier of sentence pairs."""
    config = {
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        **SEGMENTS,
    }
    ignore = r"seq_relationship|position_ids"
    return Published(
        "BertForPreTraining", config, BERT_KEYS, BERT, ignore=ignore, output="prediction_logits", result="logits"
    )


VIT: dict[str, Given] = {
    **joined("layers.{i}.attention.qkv", "vit.layers.{i}.attention.", "q_proj k_proj v_proj", bias=True),
    **same(
        {
            "patch": "vit.embeddings.patch_embeddings.projection",
            "layers.{i}.norm_1": "vit.layers.{i}.layernorm_before",
            "layers.{i}.norm_2": "vit.layers.{i}.layernorm_after",
            "layers.{i}.attention.out": "vit.layers.{i}.attention.o_proj",
            "layers.{i}.ffn.up": "vit.layers.{i}.mlp.fc1",
            "layers.{i}.ffn.down": "vit.layers.{i}.mlp.fc2",
            "norm": "vit.layernorm",
            "logits": "classifier",
        },
        bias=True,
    ),
    "cls.weight": lambda weights: weights["vit.embeddings.cls_token"][0],
    "position.weight": lambda weights: weights["vit.embeddings.position_embeddings"][0],
}


def vit(layers: int, width: int, heads: int) -> Published:
    """Return a ViT with patches of 16 pixels, of a size."""
    config = {
        "image_size": 224,
        "patch_size": 16,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "layer_norm_eps": 1e-6,
        "num_labels": 1000,
    }
    keys = {
        **{dim: key for dim, key in BERT_KEYS.items() if dim not in ("vocab_size", "context")},
        "image": "image_size",
        "patch": "patch_size",
        "classes": "num_labels",
    }
    return Published("ViTForImageClassification", config, keys, VIT)


DEIT: dict[str, Given] = {
    **joined("trunk.layers.{i}.attention.qkv", "deit.layers.{i}.attention.", "q_proj k_proj v_proj", bias=True),
    **same(
        {
            "trunk.patch": "deit.embeddings.patch_embeddings.projection",
            "trunk.layers.{i}.norm_1": "deit.layers.{i}.layernorm_before",
            "trunk.layers.{i}.norm_2": "deit.layers.{i}.layernorm_after",
            "trunk.layers.{i}.attention.out": "deit.layers.{i}.attention.o_proj",
            "trunk.layers.{i}.ffn.up": "deit.layers.{i}.mlp.fc1",
            "trunk.layers.{i}.ffn.down": "deit.layers.{i}.mlp.fc2",
            "trunk.norm": "deit.layernorm",
            "head.own": "cls_classifier",
            "head.taught": "distillation_classifier",
        },
        bias=True,
    ),
    "trunk.marks.weight": lambda weights: torch.cat(
        [weights[f"deit.embeddings.{each}_token"][0] for each in ("cls", "distillation")]
    ),
    "trunk.position.weight": lambda weights: weights["deit.embeddings.position_embeddings"][0],
}


ALBERT = "albert.encoder.albert_layer_groups.0.albert_layers.0."
MODELS: dict[str, Published] = {
    "bert": bert(12, 768, 12),
    "bert_large": bert(24, 1024, 16),
    "vit": vit(12, 768, 12),
    "vit_l16": vit(24, 1024, 16),
    "deit": replace(vit(12, 768, 12), model="DeiTForImageClassificationWithTeacher", weights=DEIT),
    "distilbert": Published(
        "DistilBertForMaskedLM",
        {
            "vocab_size": 30522,
            "max_position_embeddings": 512,
            "n_layers": 6,
            "dim": 768,
            "n_heads": 12,
            "hidden_dim": 3072,
        },
        {
            "vocab_size": "vocab_size",
            "context": "max_position_embeddings",
            "n_layers": "n_layers",
            "d_model": "dim",
            "n_heads": "n_heads",
            "d_ff": "hidden_dim",
        },
        {
            "tok.weight": "distilbert.embeddings.word_embeddings.weight",
            "position.weight": "distilbert.embeddings.position_embeddings.weight",
            **joined(
                "layers.{i}.attention.qkv",
                "distilbert.transformer.layer.{i}.attention.",
                "q_lin k_lin v_lin",
                bias=True,
            ),
            **same(
                {
                    "norm_1": "distilbert.embeddings.LayerNorm",
                    "layers.{i}.attention.out": "distilbert.transformer.layer.{i}.attention.out_lin",
                    "layers.{i}.norm_1": "distilbert.transformer.layer.{i}.sa_layer_norm",
                    "layers.{i}.ffn.up": "distilbert.transformer.layer.{i}.ffn.lin1",
                    "layers.{i}.ffn.down": "distilbert.transformer.layer.{i}.ffn.lin2",
                    "layers.{i}.norm_2": "distilbert.transformer.layer.{i}.output_layer_norm",
                    "linear": "vocab_transform",
                    "norm_2": "vocab_layer_norm",
                },
                bias=True,
            ),
            "logits.bias": "vocab_projector.bias",
        },
    ),
    "albert": Published(
        "AlbertForPreTraining",
        {
            "vocab_size": 30000,
            "max_position_embeddings": 512,
            "num_hidden_layers": 12,
            "embedding_size": 128,
            "hidden_size": 768,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            **SEGMENTS,
        },
        {**BERT_KEYS, "narrow": "embedding_size"},
        {
            "encoder.tok.weight": "albert.embeddings.word_embeddings.weight",
            "encoder.embed.weight": "albert.embeddings.token_type_embeddings.weight",
            "encoder.position.weight": "albert.embeddings.position_embeddings.weight",
            **joined("encoder.layers.attention.qkv", f"{ALBERT}attention.", "query key value", bias=True),
            **same(
                {
                    "encoder.norm": "albert.embeddings.LayerNorm",
                    "encoder.linear": "albert.encoder.embedding_hidden_mapping_in",
                    "encoder.layers.attention.out": f"{ALBERT}attention.dense",
                    "encoder.layers.norm_1": f"{ALBERT}attention.LayerNorm",
                    "encoder.layers.ffn.up": f"{ALBERT}ffn",
                    "encoder.layers.ffn.down": f"{ALBERT}ffn_output",
                    "encoder.layers.norm_2": f"{ALBERT}full_layer_layer_norm",
                    "word.linear": "predictions.dense",
                    "word.norm": "predictions.LayerNorm",
                    "sentence.linear": "albert.pooler",
                },
                bias=True,
            ),
            "word.logits.bias": "predictions.bias",
        },
        ignore=r"sop_classifier|position_ids",
        output="prediction_logits",
        result="logits",
    ),
    "roberta": Published(
        "RobertaForMaskedLM",
        {
            "vocab_size": 50265,
            "max_position_embeddings": 514,
            "num_hidden_layers": 12,
            "hidden_size": 768,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
        },
        {dim: key for dim, key in BERT_KEYS.items() if dim != "context"},
        {
            "tok.weight": "roberta.embeddings.word_embeddings.weight",
            "segment.weight": lambda weights: weights["roberta.embeddings.token_type_embeddings.weight"][0],
            "position.weight": "roberta.embeddings.position_embeddings.weight",
            **blocks("", "roberta.encoder.layer."),
            **same(
                {"norm_1": "roberta.embeddings.LayerNorm", "linear": "lm_head.dense", "norm_2": "lm_head.layer_norm"},
                bias=True,
            ),
            "logits.bias": "lm_head.bias",
        },
        {"max_position_embeddings": 34},
        ours={"context": 32},
    ),
    "electra": Published(
        "ElectraForPreTraining",
        {
            "vocab_size": 30522,
            "max_position_embeddings": 512,
            "num_hidden_layers": 12,
            "embedding_size": 128,
            "hidden_size": 256,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
            **SEGMENTS,
        },
        {**BERT_KEYS, "narrow": "embedding_size"},
        {
            "embed_1.weight": "electra.embeddings.word_embeddings.weight",
            "embed_2.weight": "electra.embeddings.token_type_embeddings.weight",
            "position.weight": "electra.embeddings.position_embeddings.weight",
            **blocks("", "electra.encoder.layer."),
            **same(
                {
                    "norm": "electra.embeddings.LayerNorm",
                    "linear_1": "electra.embeddings_project",
                    "linear_2": "discriminator_predictions.dense",
                    "linear_3": "discriminator_predictions.dense_prediction",
                },
                bias=True,
            ),
        },
    ),
}
