"""The table of networks: graft's name, the peer's constructor, and sizes to compare at."""

# Keras: graft's name, keras.applications' class, options, a size with odd and rectangular sides.
KERAS = [
    ("resnet50", "ResNet50", {}, (101, 131)), ("resnet101", "ResNet101", {}, (101, 131)),
    ("resnet152", "ResNet152", {}, (101, 131)), ("resnet50v2", "ResNet50V2", {}, (101, 131)),
    ("resnet101v2", "ResNet101V2", {}, (101, 131)), ("resnet152v2", "ResNet152V2", {}, (101, 131)),
    ("densenet121", "DenseNet121", {}, (101, 131)), ("densenet169", "DenseNet169", {}, (101, 131)),
    ("densenet201", "DenseNet201", {}, (101, 131)),
    ("vgg16", "VGG16", {}, (67, 95)), ("vgg19", "VGG19", {}, (67, 95)),
    ("mobilenet", "MobileNet", {}, (131, 97)), ("mobilenetv2", "MobileNetV2", {}, (131, 97)),
    ("xception", "Xception", {}, (101, 131)), ("inceptionv3", "InceptionV3", {}, (101, 131)),
    ("inceptionresnetv2", "InceptionResNetV2", {}, (101, 131)),
    ("nasnetmobile", "NASNetMobile", {}, (131, 97)), ("nasnetlarge", "NASNetLarge", {}, (131, 97)),
    *[(f"efficientnetb{n}", f"EfficientNetB{n}", {}, (131, 97)) for n in range(8)],
    *[(f"efficientnetv2{n.lower()}", f"EfficientNetV2{n}", {}, (131, 97))
      for n in ("B0", "B1", "B2", "B3", "S", "M", "L")],
    ("mobilenetv3large", "MobileNetV3Large", {}, (131, 97)),
    ("mobilenetv3small", "MobileNetV3Small", {}, (131, 97)),
    *[(f"convnext{n.lower()}", f"ConvNeXt{n}", {}, (101, 131))
      for n in ("Tiny", "Small", "Base", "Large", "XLarge")],
]
# Variants: a tag, and the options that make it.
KERAS_VARIANTS = [
    *[(f"mobilenet:{a}-{s}", "MobileNet", dict(alpha=float(a), input_shape=(s, s, 3)), (131, 97))
      for a, s in [("0.25", 128), ("0.50", 160), ("0.75", 192), ("1.0", 224)]],
    *[(f"mobilenetv2:{a}-{s}", "MobileNetV2", dict(alpha=float(a), input_shape=(s, s, 3)), (131, 97))
      for a, s in [("0.35", 96), ("0.50", 128), ("0.75", 160), ("1.0", 224), ("1.3", 224), ("1.4", 224)]],
    *[(f"mobilenetv3{n.lower()}:{tag}", f"MobileNetV3{n}", dict(input_shape=(224, 224, 3), **options), (131, 97))
      for n in ("Large", "Small")
      for tag, options in [("0.75", dict(alpha=0.75)), ("minimalistic", dict(minimalistic=True))]],
]
# torchvision: the constructor's name, options, a second size (or None where only one is taken).
TORCHVISION = [
    *[(n, {}, (97, 131)) for n in (
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
        "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2", "densenet121", "densenet161", "densenet169",
        "densenet201", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")],
    *[(f"vgg{n}{bn}", {}, (97, 225)) for n in (11, 13, 16, 19) for bn in ("", "_bn")],
    *[(f"efficientnet_{n}", {}, (97, 131)) for n in (*(f"b{i}" for i in range(8)), "v2_s", "v2_m", "v2_l")],
    *[(f"convnext_{n}", {}, (97, 131)) for n in ("tiny", "small", "base", "large")],
    ("inception_v3", dict(init_weights=False), (97, 131)),
    ("googlenet", dict(init_weights=False), (97, 131)),
    *[(f"squeezenet{n}", {}, (97, 131)) for n in ("1_0", "1_1")],
    *[(f"shufflenet_v2_x{n}", {}, (97, 131)) for n in ("0_5", "1_0", "1_5", "2_0")],
    *[(f"mnasnet{n}", {}, (97, 131)) for n in ("0_5", "0_75", "1_0", "1_3")],
    *[(f"regnet_{n}", {}, (97, 131)) for n in (
        "y_400mf", "y_800mf", "y_1_6gf", "y_3_2gf", "y_8gf", "y_16gf", "y_32gf", "x_400mf", "x_800mf",
        "x_1_6gf", "x_3_2gf", "x_8gf", "x_16gf", "x_32gf")],
]
# Too large for the machine that runs every comparison (2.6 GB): names, shapes and counts only.
TORCHVISION_SHAPES = ["regnet_y_128gf"]
TIMM = [
    *[(n, {}, (97, 131)) for n in (
        "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
        "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2", "densenet121", "densenet161", "densenet169",
        "densenet201", "inception_v3", "convnext_tiny", "convnext_small", "convnext_base", "convnext_large",
        "convnext_xlarge", "mnasnet_100", "mobilenetv3_large_100", "tf_mobilenetv3_large_075",
        "tf_mobilenetv3_large_100", "mobilenetv3_small_050", "mobilenetv3_small_075", "mobilenetv3_small_100",
        "tf_mobilenetv3_small_075", "tf_mobilenetv3_small_100")],
    *[(f"mobilenetv2_{n}", {}, (97, 131)) for n in ("050", "100", "110d", "120d", "140")],
    *[(f"vgg{n}{bn}", {}, (231, 257)) for n in (11, 13, 16, 19) for bn in ("", "_bn")],
    *[(f"{tf}efficientnet_b{n}", {}, (97, 131)) for n in range(8) for tf in ("", "tf_")],
    *[(f"tf_efficientnetv2_{n}", {}, (97, 131)) for n in ("b0", "b1", "b2", "b3", "s", "m", "l")],
    *[(f"tf_efficientnet_lite{n}", {}, (97, 131)) for n in range(5)],
]

# One of each family: what every change is checked with.
SHORT = {
    "resnet50", "resnet50v2", "densenet121", "vgg16", "mobilenet", "mobilenetv2", "xception", "inceptionv3",
    "inceptionresnetv2", "nasnetmobile", "efficientnetb0", "efficientnetv2b0", "mobilenetv3small", "convnexttiny",
    "torchvision/resnet50", "torchvision/resnext50_32x4d", "torchvision/vgg11_bn", "torchvision/densenet121",
    "torchvision/mobilenet_v2", "torchvision/mobilenet_v3_large", "torchvision/efficientnet_b0",
    "torchvision/efficientnet_v2_s", "torchvision/convnext_tiny", "torchvision/inception_v3",
    "torchvision/googlenet", "torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x1_0",
    "torchvision/mnasnet0_5", "torchvision/regnet_y_400mf", "torchvision/regnet_x_400mf",
    "timm/tf_efficientnet_lite0", "timm/tf_efficientnetv2_b0", "timm/mobilenetv3_small_100", "timm/convnext_tiny",
}

# What rows.py takes from end to end with every change: the seed table's families, and each publisher's formats.
ROWS = {
    "resnet50", "resnet50v2", "densenet121", "vgg16", "mobilenet", "mobilenetv2", "xception", "inceptionv3", "nasnetmobile",
    "efficientnetb0", "mobilenetv3small", "convnexttiny", "torchvision/resnet18", "torchvision/mobilenet_v3_small",
    "torchvision/convnext_tiny", "timm/tf_efficientnet_lite0",
}
