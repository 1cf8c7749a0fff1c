"""What the conformance scripts share: getting at peers that need some care."""
import sys


def torchvision():
    """torchvision, also where it was built against another torch and lacks its own operators."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        # The networks need none of the operators that fail to register.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for module in [m for m in sys.modules if m.startswith("torchvision")]:
            del sys.modules[module]
        import torchvision

        torchvision.library_kept_alive = library
    return torchvision
