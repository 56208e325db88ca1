"""The libraries that a user would pick instead, each as its documentation shows it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.sizes import Size

Loss = Callable[[Tensor, Tensor], Tensor]
Run = Callable[[int], int]
TOP_K, PROMPT = 50, 16


def transformers_model(size: Size) -> nn.Module:
    """Return GPT-2 of Hugging Face transformers, with scaled_dot_product_attention."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=size.vocab,
        n_positions=size.context,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=None,
        attn_implementation="sdpa",
    )
    return transformers.GPT2LMHeadModel(config)


def x_transformers_model(size: Size) -> nn.Module:
    """Return a decoder of x-transformers, with flash attention."""
    import x_transformers

    layers = x_transformers.Decoder(
        dim=size.width, depth=size.layers, heads=size.heads, attn_dim_head=size.width // size.heads, attn_flash=True
    )
    return x_transformers.TransformerWrapper(
        num_tokens=size.vocab, max_seq_len=size.context, attn_layers=layers, tie_embedding=True
    )


def litgpt_model(size: Size) -> nn.Module:
    """Return litgpt's GPT in the shape of GPT-NeoX, without biases."""
    import litgpt

    config = litgpt.Config(
        block_size=size.context,
        n_layer=size.layers,
        n_head=size.heads,
        n_embd=size.width,
        vocab_size=size.vocab,
        padded_vocab_size=size.vocab,
        parallel_residual=False,
        bias=False,
    )
    return litgpt.GPT(config)


def transformers_llama(size: Size) -> nn.Module:
    """Return Llama of Hugging Face transformers, with scaled_dot_product_attention."""
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=size.vocab,
        max_position_embeddings=size.context,
        hidden_size=size.width,
        intermediate_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.groups,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="sdpa",
    )
    return transformers.LlamaForCausalLM(config)


def x_transformers_llama(size: Size) -> nn.Module:
    """Return a decoder of x-transformers as its documentation shows Llama's parts, with flash attention."""
    import x_transformers

    layers = x_transformers.Decoder(
        dim=size.width,
        depth=size.layers,
        heads=size.heads,
        attn_dim_head=size.width // size.heads,
        attn_kv_heads=size.groups,
        attn_flash=True,
        rotary_pos_emb=True,
        use_rmsnorm=True,
        ff_swish=True,
        ff_glu=True,
        ff_no_bias=True,
        ff_mult=size.hidden // size.width,
    )
    return x_transformers.TransformerWrapper(
        num_tokens=size.vocab, max_seq_len=size.context, attn_layers=layers, use_abs_pos_emb=False
    )


def litgpt_llama(size: Size) -> nn.Module:
    """Return litgpt's GPT in the shape of Llama."""
    import litgpt

    config = litgpt.Config(
        block_size=size.context,
        n_layer=size.layers,
        n_head=size.heads,
        n_query_groups=size.groups,
        n_embd=size.width,
        intermediate_size=size.hidden,
        vocab_size=size.vocab,
        padded_vocab_size=size.vocab,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
    )
    return litgpt.GPT(config)


def _transformers_loss(model: nn.Module) -> Loss:
    return lambda inputs, targets: F.cross_entropy(model(inputs).logits.flatten(0, 1).float(), targets.flatten())


def _plain_loss(model: nn.Module) -> Loss:
    return lambda inputs, targets: F.cross_entropy(model(inputs).flatten(0, 1).float(), targets.flatten())


MODELS = {"transformers": transformers_model, "x-transformers": x_transformers_model, "litgpt": litgpt_model}
LLAMAS = {"transformers": transformers_llama, "x-transformers": x_transformers_llama, "litgpt": litgpt_llama}


def trainer(library: str, size: Size, llama: bool, bfloat16: bool) -> Run:
    """Return `run(steps)` that trains with AdamW and clipping and returns how many tokens it trained on."""
    torch.manual_seed(0)
    model = (LLAMAS if llama else MODELS)[library](size)
    loss_of = _transformers_loss(model) if library == "transformers" else _plain_loss(model)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    text = size.text()

    def run(steps: int) -> int:
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = loss_of(*size.batch_of(text))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            adam.zero_grad()
            loss.item()
        return steps * size.batch * size.context

    return run


def peak(bfloat16: bool) -> Run:
    """Return `run(count)` that multiplies large matrices and returns the FLOPs: those of the faster library."""
    dtype, side = (torch.bfloat16 if bfloat16 else torch.float32), 1024
    a, b, out = (torch.ones(side, side, dtype=dtype) for _ in range(3))

    def seconds(precision: str) -> float:
        torch.set_float32_matmul_precision(precision)
        torch.mm(a, b, out=out)
        began = time.process_time()
        for _ in range(5):
            torch.mm(a, b, out=out)
        return time.process_time() - began

    torch.set_float32_matmul_precision(min(("highest", "medium"), key=seconds))

    def run(count: int) -> int:
        for _ in range(10 * count):
            torch.mm(a, b, out=out)
        return 10 * count * 2 * side**3

    return run


def sampler(library: str, size: Size) -> Run:
    """Return `run(count)` that draws `count` tokens behind a prompt with the library's generator, top-k, batch 1."""
    torch.manual_seed(0)
    model = MODELS[library](size).eval()
    prompt = size.text()[None, :PROMPT]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw = {"transformers": _transformers_draw, "x-transformers": _x_transformers_draw, "litgpt": _litgpt_draw}
        return draw[library](model, prompt)


def _transformers_draw(model: nn.Module, prompt: Tensor) -> Run:
    def run(count: int) -> int:
        ids = model.generate(  # type: ignore[operator]
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=True,
            top_k=TOP_K,
            max_new_tokens=count,
            min_new_tokens=count,
            pad_token_id=0,
        )
        return ids.shape[1] - prompt.shape[1]

    return run


def _x_transformers_draw(model: nn.Module, prompt: Tensor) -> Run:
    import x_transformers
    from x_transformers.autoregressive_wrapper import top_k

    wrapped = x_transformers.AutoregressiveWrapper(model)

    def run(count: int) -> int:
        with torch.inference_mode():
            return wrapped.generate(prompt, count, filter_logits_fn=top_k, filter_kwargs={"k": TOP_K}).shape[1]

    return run


def _litgpt_draw(model: nn.Module, prompt: Tensor) -> Run:
    from litgpt.generate.base import generate

    model.set_kv_cache(batch_size=1)  # type: ignore[operator]

    def run(count: int) -> int:
        ids = generate(model, prompt[0], prompt.shape[1] + count, top_k=TOP_K, include_prompt=False)  # type: ignore[arg-type]
        return len(ids)

    return run
