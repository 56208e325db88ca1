"""Deep or wide at one budget: a spec's sizes are overridden, and what each costs is counted without torch."""

from pathlib import Path

import tfdsl

GPT2 = Path(__file__).parent.parent / "specs/gpt2.yaml"

if __name__ == "__main__":
    print(f"{'layers':>6} {'width':>6} {'parameters':>14} {'FLOPs a token':>16} {'training memory':>16}")
    for layers, width in [(6, 1088), (12, 768), (24, 544), (48, 384)]:
        sizes = [f"dims.n_layers={layers}", f"dims.d_model={width}", f"dims.n_heads={width // 32}"]
        cost = tfdsl.cost(tfdsl.check(GPT2, sizes), {"T": 1024})
        gigabytes = cost.memory / 2**30
        print(f"{layers:6} {width:6} {cost.parameters:14,} {cost.forward // 1024:16,} {gigabytes:12.2f} GiB")
