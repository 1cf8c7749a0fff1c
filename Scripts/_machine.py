"""What figures were measured on, and with: processor, its instructions, memory, system, versions of the peers."""
import os
import platform
import subprocess
from importlib import metadata

PACKAGES = {
    "onnxruntime": "onnxruntime", "OpenVINO": "openvino", "PyTorch": "torch", "Keras": "keras", "TensorFlow": "tensorflow-cpu",
    "torchvision": "torchvision", "timm": "timm", "safetensors": "safetensors", "h5py": "h5py", "Pillow": "pillow", "NumPy": "numpy",
}
# The instructions that kernels choose by.
FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_bf16", "asimd")


def machine(graft):
    """All of it, as one object; `graft` is the program."""
    first = open("/proc/cpuinfo").read().split("\n\n")[0]
    fields = {k.strip(): v.strip() for k, v in (line.split(":", 1) for line in first.splitlines() if ":" in line)}
    flags = fields.get("flags", fields.get("Features", "")).split()
    memory = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    versions = {}
    for name, package in PACKAGES.items():
        try:
            versions[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        system = ""
    program = subprocess.run([graft, "--version"], capture_output=True, text=True).stdout.strip()
    return {"processor": fields.get("model name", platform.machine()), "cores": len(os.sched_getaffinity(0)),
            "flags": [f for f in FLAGS if f in flags], "memory_gb": round(memory / 1e6, 1), "kernel": platform.release(), "system": system,
            "python": platform.python_version(), "versions": versions, "program": program}


def line(graft):
    """The same in a line, with the load there is now."""
    here = machine(graft)
    versions = ", ".join(f"{n} {v}" for n, v in here["versions"].items())
    return (f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB, {' '.join(here['flags'])}; {here['system']}; "
            f"{here['program']}, {versions}; load {os.getloadavg()[0]:.1f}")
