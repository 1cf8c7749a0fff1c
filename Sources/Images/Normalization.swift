// From 0…255 to the numbers that the first convolution expects.

/// The order of the colours in a tensor.
public enum ChannelOrder: String, Codable, Sendable, Hashable {
    /// Red first.
    case rgb
    /// Blue first, as Caffe's networks and those ported from it.
    case bgr
}

/// The arithmetic on a colour value: `x = (value · scale − mean) / std`, a mean and a std for
/// each channel in the order of the tensor.
public struct Normalization: Codable, Sendable, Hashable {
    /// The order of the colours in the tensor.
    public var channels: ChannelOrder
    /// What 0…255 is multiplied by first.
    public var scale: Double
    /// What is subtracted then, by channel of the tensor.
    public var mean: [Double]
    /// What is divided by at last, by channel of the tensor.
    public var std: [Double]

    /// An arithmetic; `mean` and `std` have three values.
    public init(
        channels: ChannelOrder = .rgb, scale: Double, mean: [Double] = [0, 0, 0],
        std: [Double] = [1, 1, 1]
    ) {
        self.channels = channels
        self.scale = scale
        self.mean = mean
        self.std = std
    }

    /// BGR, less ImageNet's means: Keras' VGG and ResNet v1.
    public static let caffe = Normalization(
        channels: .bgr, scale: 1, mean: [103.939, 116.779, 123.68])
    /// `x / 127.5 − 1`: Keras' MobileNet v1 and v2, Inception, Xception, NASNet, ResNetV2.
    public static let tf = Normalization(scale: 1 / 127.5, mean: [1, 1, 1])
    /// `x / 255`, then ImageNet's means and deviations: torchvision, and Keras' DenseNet.
    public static let torch = Normalization(
        scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225])
    /// `(x / 255 − ½) / ½`: timm's Inception mean and deviation.
    public static let half = Normalization(
        scale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5])
    /// 0…255 as it is: the network rescales itself (Keras' EfficientNet, MobileNetV3, ConvNeXt).
    public static let passThrough = Normalization(scale: 1)
    /// `x / 255`: 0…1.
    public static let unit = Normalization(scale: 1 / 255)

    /// The presets by the names that publishers give them.
    public static let presets: [String: Normalization] = [
        "caffe": .caffe, "tf": .tf, "torch": .torch, "half": .half, "pass-through": .passThrough,
        "unit": .unit,
    ]

    /// For each channel of the tensor, the channel of RGB that it comes from.
    var sources: [Int] { channels == .rgb ? [0, 1, 2] : [2, 1, 0] }

    /// What a colour value becomes in `channel` of the tensor.
    func apply(_ value: Double, channel: Int) -> Double {
        (value * scale - mean[channel]) / std[channel]
    }
}
