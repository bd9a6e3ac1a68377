"""Small traces with every awkward thing in them: ties, confidences of 0 and 1, one exit."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.calibration.trace import Trace

# Few values, so that ties are common; all are exact in float32 and candidates of the grid.
CONFIDENCES = (0.0, 0.25, 0.5, 0.75, 1.0)


@st.composite
def traces(draw):
    # Few shapes, since each is compiled.
    depth_E = np.array(draw(st.sampled_from([(3,), (1, 2, 5)])))
    shape = draw(st.sampled_from([1, 6])), len(depth_E)
    return Trace(
        confidence_NE=draw(arrays(np.float32, shape, elements=st.sampled_from(CONFIDENCES))),
        loss_NE=draw(arrays(float, shape, elements=st.sampled_from((0.0, 0.5, 1.0)))),
        depth_E=depth_E,
        prediction_NE=draw(arrays(int, shape, elements=st.integers(0, 2))),
    )
