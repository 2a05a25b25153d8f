"""The target layer that the rule of docs/layers.md finds in networks of timm, as its table.

``python benchmarks/target_layers.py NAME …``, with random weights: no download. One line each,
``| NAME | layer | K × h × w | cut |``, with the remark or the refusal where there is one.
"""

from __future__ import annotations

import argparse
import logging

from evaluator.backbones import BackboneSpec
from evaluator.errors import CamtuiError
from evaluator.networks.backbone_loading import load_backbone

USUAL = """
    beit_base_patch16_224 cait_xxs24_224 coat_lite_tiny convit_tiny convnext_atto crossvit_9_240
    davit_tiny deit3_small_patch16_224 edgenext_xx_small efficientformer_l1 eva02_tiny_patch14_224
    fastvit_t8 focalnet_tiny_srf gcvit_xxtiny ghostnet_050 gmlp_ti16_224 hgnetv2_b0 hiera_tiny_224
    levit_conv_128s mixer_s32_224 mobilevit_xxs mvitv2_tiny nest_tiny pit_ti_224 poolformer_s12
    regnetx_002 repvit_m0_9 resmlp_12_224 swinv2_tiny_window8_256 tiny_vit_5m_224 tnt_s_patch16_224
    twins_pcpvt_small twins_svt_small visformer_tiny vit_base_patch16_clip_224
    vit_base_patch16_siglip_224 vit_tiny_patch16_224 volo_d1_224 xcit_nano_12_p16_224
""".split()  # noqa: SIM905 - names read better as prose


def main() -> None:
    """Load one network after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=USUAL, metavar="NAME")
    logging.captureWarnings(capture=True)
    print("| network | layer | map | cut |\n|---|---|---|---|")
    for name in parser.parse_args().names:
        try:
            facts = load_backbone(BackboneSpec(f"timm/{name}", "random:0")).facts
        except CamtuiError as error:
            print(f"| `{name}` | refused: {error.message} | | |", flush=True)
            continue
        remarks = "".join(f"; {remark}" for remark in facts.remarks)
        shape = f"{facts.channels} × {facts.height} × {facts.width}"
        print(f"| `{name}` | `{facts.layer}`{remarks} | {shape} | {facts.cut} |", flush=True)


if __name__ == "__main__":
    main()
