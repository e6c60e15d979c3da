"""How does the Legacy Survey viewer turn linear flux into a display image?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

SOFTENING = 0.03  # m: lifts the sky above black, so that its noise is not clipped
STEEPNESS = 20.0  # Q: where the stretch turns from linear to logarithmic
DISPLAY_GAIN = (2.2, 3.4, 6.0)  # bands z, r, g


def viewer_stretch(
    flux: Float[np.ndarray, "band height width"],
    gain: tuple[float, ...] = DISPLAY_GAIN,
) -> UInt8[np.ndarray, "band height width"]:
    """Stretch flux as the Legacy Survey viewer does; empty sky lands at 32 of 255.

    Colours are kept: every band is multiplied by one factor, arcsinh(Q·I) / (√Q·I), of the mean brightness I.

    Args:
        flux: linear flux [nmgy per 0.262″ pixel], bands in display order (red first: z, r, g).
        gain: what each band is multiplied by before.

    Source: Lupton et al. 2004, PASP 116, 133, with the constants of the
    survey's viewer.
    """
    scale = np.asarray(gain, dtype=np.float32)[:, None, None]
    lifted = np.maximum(flux * scale + np.float32(SOFTENING), np.float32(0.0))
    brightness = np.maximum(lifted.mean(axis=0), np.float32(1e-6))
    factor = np.arcsinh(STEEPNESS * brightness) / (np.float32(STEEPNESS**0.5) * brightness)
    return np.rint(np.clip(lifted * factor, 0.0, 1.0) * 255).astype(np.uint8)
