"""Pipelines of Diffusers: which modules their ``model_index.json`` has imported.

Each part is a pair of a library and a class. Diffusers looks for the library among its own pipelines,
then for a file of that name in the part's folder, and else imports it, whatever it is
(``pipeline_loading_utils``). A pipeline of a repository's own is named by a pair as well: the file and the
class (``_class_name``).
"""

from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.tally import Tally

_PAIR = 2
_LIBRARIES = frozenset({
    "diffusers", "transformers", "peft", "onnxruntime", "optimum", "k_diffusion", "open_clip",
    "sentence_transformers", "flax", "ppdiffusers", "paddlenlp",
})  # fmt: skip
_FOLDERS = (
    "allegro alt_diffusion amused animatediff audioldm audioldm2 aura_flow blip_diffusion bria chroma "
    "cogvideo cogview3 cogview4 consisid consistency_models controlnet controlnet_xs cosmos "
    "dance_diffusion deepfloyd_if dit easyanimate flux free_noise_utils hidream_image hunyuan_video "
    "hunyuandit i2vgen_xl kandinsky kandinsky2_2 kandinsky3 kolors latent_consistency_models "
    "latent_diffusion latte ledits_pp ltx ltx2 lumina lumina2 marigold mochi musicldm omnigen pag "
    "paint_by_example pia pixart_alpha qwenimage sana semantic_stable_diffusion shap_e skyreels_v2 "
    "spectrogram_diffusion stable_audio stable_cascade stable_diffusion stable_diffusion_3 "
    "stable_diffusion_safe stable_diffusion_xl stable_video_diffusion t2i_adapter "
    "text_to_video_synthesis unclip unidiffuser versatile_diffusion visualcloze wan wuerstchen"
)
"""Folders of pipelines in Diffusers, which hold parts of their own."""
_KNOWN = _LIBRARIES | frozenset(_FOLDERS.split())


def check(tally: Tally, base: str, item: dict[str, Any]) -> None:
    """Note a pipeline or a part that comes from a file of the repository or another module."""
    for part, value in item.items():
        pair = value if isinstance(value, list) and len(value) == _PAIR else None
        if part == "_class_name":
            if isinstance(value, list):
                names = ", ".join(str(name)[:60] for name in value[:_PAIR])
                why = f"{base} has a pipeline of the repository loaded: {names}."
                tally.note("model-custom-code", Severity.HIGH, why)
        elif pair and isinstance(pair[0], str) and pair[0] not in _KNOWN:
            why = f"{base} has the module {pair[0][:60]} imported for its part {part[:60]}."
            tally.note("model-custom-code", Severity.HIGH, why)
