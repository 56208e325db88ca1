# Made by `make docs` from the files beside it: for editors and type checkers.

from tfdsl.nodes.activation import Activation as Activation
from tfdsl.nodes.attention import Attention as Attention
from tfdsl.nodes.concat import Concat as Concat
from tfdsl.nodes.dropout import Dropout as Dropout
from tfdsl.nodes.embed import Embed as Embed
from tfdsl.nodes.ffn import FeedForward as FeedForward
from tfdsl.nodes.linear import Linear as Linear
from tfdsl.nodes.moe import MixtureOfExperts as MixtureOfExperts
from tfdsl.nodes.multiply import Multiply as Multiply
from tfdsl.nodes.norm import LayerNorm as LayerNorm
from tfdsl.nodes.norm import RMSNorm as RMSNorm
from tfdsl.nodes.patch import Patch as Patch
from tfdsl.nodes.pool import First as First
from tfdsl.nodes.pool import Last as Last
from tfdsl.nodes.pool import Max as Max
from tfdsl.nodes.pool import Mean as Mean
from tfdsl.nodes.position import Learned as Learned
from tfdsl.nodes.position import Sinusoidal as Sinusoidal
from tfdsl.nodes.prepend import Prepend as Prepend
from tfdsl.nodes.repeat import Repeat as Repeat
from tfdsl.nodes.residual import Residual as Residual
from tfdsl.nodes.scale import Scale as Scale
from tfdsl.nodes.sum import Sum as Sum
from tfdsl.nodes.unembed import Unembed as Unembed
from tfdsl.nodes.use import Use as Use

def classes() -> dict[str, type]: ...
