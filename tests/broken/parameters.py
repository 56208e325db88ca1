"""Mistakes from which others would follow, and those in the parameters of blocks and in experts."""

from tests.broken.mistake import BASE, GPT2, HYBRID, Break

BREAKS = [
    # -- what is lost, and what follows from it
    Break(GPT2, "dims: {", "dmis: {", "D102", "did you mean `dims`?"),
    Break(GPT2, "name: gpt2", "title: gpt2", "D102", "is it `name`, which is missing?"),
    Break(GPT2, "inputs:  {", "takes:  {", "D102", "is it `inputs`, which is missing?"),
    Break(
        GPT2,
        "  - embed: {id: tok, from: tokens, width: d_model}\n",
        "",
        "N306",
        "nothing comes before `position`",
        at="  - position",
    ),
    Break(GPT2, ", d_model: 768", "", "E402", "unknown name `d_model`", at="dims:"),
    Break(GPT2, ", context: 1024", "", "E402", "unknown name `context`", at="length: context"),
    Break(BASE, "  target: {shape: [B, T], vocab: vocab_size, pad: 0}\n", "", "N308", "`target`", at="from: target"),
    Break(
        HYBRID,
        "  local:  [attention: {mask: {type: sliding, window: window}}]\n",
        "",
        "N303",
        "`local`",
        at="params: {mix",
    ),
    Break(
        GPT2,
        "bias: true}\n  residual",
        "bias: 1}\n  residual",
        "D103",
        "`bias`: `1` is not `true` or `false`",
        at="bias: 1",
    ),
    Break(GPT2, "activation: gelu_tanh, bias: true", "activation: gelu_tanh, bias: on", "D103", "did you mean `true`?"),
    # -- parameters, cycles and experts
    Break(
        HYBRID,
        "{cycle: [dense, sparse]}",
        "{cycle: [dense, dense, sparse, sparse, dense]}",
        "E407",
        "a cycle of 5 does not divide 24",
    ),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{cycle: []}", "E407", "0"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{cycle: [dense, spars]}", "N303", "did you mean `sparse`?"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{cycles: [dense, sparse]}", "D102", "did you mean `cycle`?"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{list: [dense, sparse]}", "E408", "2 values for 24 copies"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{at: {24: sparse}, else: dense}", "E409", "no copy 24"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{at: {3: sparse}, els: dense}", "D102", "did you mean `else`?"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{cycle: [dense], list: [sparse]}", "D107", "one way"),
    Break(HYBRID, "{cycle: [dense, sparse]}", "{cycle: dense}", "D103", "`dense` is not a list"),
    Break(HYBRID, "mlp: {cycle", "mpl: {cycle", "N305", "did you mean `mlp`?"),
    Break(HYBRID, "use: $mlp", "use: $mpl", "N305", "did you mean `$mlp`?"),
    Break(HYBRID, "use: $mlp", "use: *mlp", "Y010", "`$mlp`"),
    Break(
        HYBRID, "params: {mix: local, mlp: dense}", "params: {mix: local, mlp: dnse}", "N303", "did you mean `dense`?"
    ),
    Break(
        HYBRID, "params: {mix: local, mlp: dense}", "param: {mix: local, mlp: dense}", "D102", "did you mean `params`?"
    ),
    Break(HYBRID, "top_k: 2", "top_k: 9", "T209", "9 of 8 experts"),
    Break(HYBRID, "top_k: 2", "topk: 2", "D102", "did you mean `top_k`?"),
    Break(HYBRID, "experts: n_experts", "expert: n_experts", "D102", "did you mean `experts`?"),
    Break(
        HYBRID,
        "n_kv_heads: 4",
        "n_kv_heads: 3",
        "T212",
        "16 query heads do not divide among 3",
        at="kv_heads: n_kv_heads",
    ),
    Break(HYBRID, "n_kv_heads: 4", "n_kv_heads: 32", "T212", "32", at="kv_heads: n_kv_heads"),
    Break(HYBRID, "position: rope", "position: rop", "D104", "did you mean `rope`?"),
    Break(HYBRID, "position: rope", "position: {type: rope, theta: -1}", "E405", "-1"),
    Break(HYBRID, "position: rope", "position: {type: rope, thet: 10000}", "D102", "did you mean `theta`?"),
    Break(HYBRID, "qk_norm: rms", "qk_norm: rmsnorm", "D104", "`rmsnorm`"),
    Break(HYBRID, "window: window}", "window: windw}", "E402", "did you mean `window`?"),
    Break(HYBRID, "window: 1024", "window: 0", "E405", "`window`: 0"),
    Break(
        HYBRID,
        "activation: swiglu}]\n  sparse",
        "activation: swigl}]\n  sparse",
        "D104",
        "did you mean `swiglu`?",
        at="swigl}",
    ),
    Break(
        HYBRID, "- residual: [norm, use: $mix, norm]", "- residual: [norm, use: $mix, linear: 10]", "T203", "[B, T, 10]"
    ),
    Break(HYBRID, "- residual: [norm, use: $mix, norm]", "- residual: [norm, use: mix, norm]", "N303", "`mix`"),
    Break(HYBRID, "n_heads: 16", "n_heads: 15", "T211", "1024 features do not divide among 15", at="attention: {heads"),
    Break(HYBRID, "  dense:  [", "  dens:  [", "N303", "did you mean `dens`?", at="mlp: dense"),
]
