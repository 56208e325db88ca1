"""A foreign model's `config.json`, read so that nothing in it is passed over: what no recipe asks for is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from tfdsl.diagnostics import Diagnostic, suggest

T = TypeVar("T")
Missing: Any = object()

# Names of files, settings of text generation, of training and of memory: the numbers are the same without them.
WORDS = (
    "_name_or_path _attn_implementation architectures attn_implementation auto_map bad_words_ids "
    "begin_suppress_tokens bos_token_id chunk_size_feed_forward cls_token_id decoder_start_token_id "
    "diversity_penalty do_sample dtype early_stopping encoder_no_repeat_ngram_size eos_token_id "
    "exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_decoder_ids forced_eos_token_id "
    "gradient_checkpointing id2label initializer_factor initializer_range is_encoder_decoder label2id "
    "length_penalty mask_token_id max_length min_length model_type no_repeat_ngram_size num_beam_groups num_beams "
    "num_labels num_return_sequences output_attentions output_hidden_states output_past output_router_logits "
    "output_scores pad_token_id prefix pretraining_tp problem_type remove_invalid_values repetition_penalty "
    "return_dict return_dict_in_generate router_aux_loss_coef sep_token_id suppress_tokens task_specific_params "
    "temperature tf_legacy_loss tokenizer_class top_k top_p torch_dtype torchscript transformers_version typical_p "
    "unk_token_id use_bfloat16 use_cache"
)
INERT = frozenset(WORDS.split())


class Refused(Exception):
    """A checkpoint's config cannot be honoured."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, help=help)


class Config:
    """What a recipe may ask of a `config.json` and of the names of the checkpoint's tensors.

    Each question notes the setting as honoured; `finish` refuses a setting that was never asked for.
    """

    def __init__(self, values: Mapping[str, Any], names: Collection[str] = ()) -> None:
        self.values, self.names = values, frozenset(names)
        self.asked: set[str] = set()
        self.refused: list[Diagnostic] = []

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting as it stands, or `default` where it is not there or null."""
        self.asked.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def whole(self, key: str, default: Any = Missing) -> Any:
        """Return a whole number from 0 up."""
        return self._typed(key, default, lambda v: type(v) is int and 0 <= v < 2**40, "a whole number")

    def limit(self, key: str, absent: int | None) -> int | None:
        """Return a whole number, None where it is null or 0, and `absent` where nothing is said."""
        return self.whole(key, None) or None if key in self.values else self._absent(key, absent)

    def _absent(self, key: str, value: T) -> T:
        self.asked.add(key)
        return value

    def number(self, key: str, default: Any = Missing) -> Any:
        """Return a finite number."""
        return self._typed(key, default, lambda v: type(v) in (int, float) and abs(v) < 1e300, "a number")

    def truth(self, key: str, default: Any = Missing) -> Any:
        """Return true or false."""
        return self._typed(key, default, lambda v: isinstance(v, bool), "true or false")

    def word(self, key: str, meanings: Mapping[str, T], default: Any = Missing) -> T:
        """Return what the word of a setting means."""
        value = self._typed(key, default, lambda v: isinstance(v, str), "a word")
        if value not in meanings:
            near = suggest(value, meanings)
            raise Refused(
                "R728", f"`{key}` is `{value[:60]}`, which has no counterpart", f"there is `{near}`" if near else ""
            )
        return meanings[value]

    def words(self, key: str, meanings: Mapping[str, T], count: int) -> list[T] | None:
        """Return what each of `count` words of a list means, or None where there is no list."""
        value = self.get(key)
        if value is None:
            return None
        if (
            not isinstance(value, list)
            or len(value) != count
            or not all(isinstance(v, str) and v in meanings for v in value)
        ):
            raise Refused("R728", f"`{key}` is not a list of {count} of {', '.join(f'`{each}`' for each in meanings)}")
        return [meanings[each] for each in value]

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse a setting unless it is absent, null or one of those that change nothing."""
        value = self.get(key)
        if value is not None and not any(value == each and type(value) is type(each) for each in allowed):
            self.refused.append(
                Diagnostic("R728", f"`{key}` is `{str(value)[:60]}`, which this import does not honour")
            )

    def inert(self, *keys: str) -> None:
        """Note settings that change no number."""
        self.asked.update(keys)

    def inner(self, key: str) -> Config:
        """Return a setting that holds settings; what is left of it is refused too."""
        value = self.get(key, {})
        if not isinstance(value, dict):
            raise Refused("R728", f"`{key}` is not a mapping")
        return Config(value, self.names)

    def has(self, name: str) -> bool:
        """Return whether the checkpoint has a tensor whose name is, or ends with, `name`."""
        return any(each == name or each.endswith(f".{name}") for each in self.names)

    def labels(self) -> int:
        """Return the number of classes: of labels, or two."""
        labels = self.get("id2label")
        return len(labels) if isinstance(labels, dict) and labels else int(self.whole("num_labels", 2))

    def finish(self, within: str = "") -> list[Diagnostic]:
        """Return what was refused, and each setting that nobody asked for."""
        left = [
            key
            for key, value in self.values.items()
            if key not in self.asked and key not in INERT and value is not None
        ]
        unknown = [
            Diagnostic(
                "R728", f"`{within}{key[:80]}` is `{str(self.values[key])[:60]}`, which this import does not know"
            )
            for key in left
        ]
        return self.refused + unknown

    def _typed(self, key: str, default: Any, right: Any, what: str) -> Any:
        value = self.get(key)
        if value is None:
            if default is Missing:
                raise Refused("R728", f"`{key}` is missing")
            return default
        if not right(value):
            raise Refused("R728", f"`{key}` is `{str(value)[:60]}`, which is not {what}")
        return value
