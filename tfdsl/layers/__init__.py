"""The torch text of what torch.nn lacks: real modules here, copied into an emitted model by `tfdsl.codegen.gather`.

| class | constructor (defaults are folded away) | forward | parameters |
|---|---|---|---|
| `Attention` | `width, heads, kv_heads=None, head_dim=None, bias="", out_bias=False, dropout=0.0, scale=None, qk_norm=None, eps=1e-6, causal=False, style="half", rotated=None, buckets=None, max_distance=128` | `x, rope=None, mask=None, cache=None` | `qkv.weight`, `qkv.bias`, `out.weight`, `out.bias`, `q_norm.weight`, `k_norm.weight` (and `.bias` where `qk_norm="layer"`) |
| `CrossAttention` | `width, heads, memory_width=None, kv_heads=None, head_dim=None, bias="", out_bias=False, dropout=0.0, scale=None, qk_norm=None, eps=1e-6` | `x, memory, mask=None, cache=None` | `q.weight`, `q.bias`, `kv.weight`, `kv.bias`, `out.weight`, `out.bias`, `q_norm.*`, `k_norm.*` |
| `FeedForward` | `width, hidden, activation="gelu", bias=False, dropout=0.0` | `x` | `up.weight`, `up.bias`, `down.weight`, `down.bias` (a gated activation: `up` holds gate and up, 2 · hidden rows) |
| `MixtureOfExperts` | `width, hidden, experts, top_k=2, activation="swiglu"` | `x` | `router.weight`, `up` (experts, hidden or 2 · hidden, width), `down` (experts, width, hidden) |
| `LearnedPosition` | `length, width` | `x, start=0` | `weight` (length, width) |
| `SinusoidalPosition` | `width, theta=10000.0, style="interleaved"` | `x, start=0` | none |
| `Rotary` | `size, theta=10000.0, style="half"` | `x, start=0` -> two tables | none |
| `T5Bias` | `heads, buckets=32, max_distance=128, causal=False` | `x, start=0, mask=None` -> additive mask | `weight` (buckets, heads) |
| `Patch` | `channels, width, size, bias=True` | `x` (images) | `weight`, `bias` |
| `Prepend` | `tokens, width` | `x, start=0` | `weight` (tokens, width) |

Functions: `causal_table(x, start=0, window=None)` · `window_table(x, window)` · `mean_of_kept(x, keep)` · `max_of_kept` · `last_of_kept` · `once(cache, make, *inputs)`; and `Cache(length)`.
`bias` of an attention names the projections that have one, in the order q, k, v: `"qkv"`, `"qv"`, `""`. Where only some of
the fused projections have one, the biases are parameters of their own: `q_bias`, `k_bias`, `v_bias`. `buckets` gives the
attention a table of its own, `relative.weight`.

Constructor arguments that are the same at every use in a model, and are `None`, `True`, `False`, text or the default,
are folded into the emitted text; sizes stay arguments.
"""  # noqa: E501
