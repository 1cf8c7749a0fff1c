// From 0…255 to the numbers that the first convolution expects.

/// The order of the colours in a tensor.
public enum ChannelOrder: String, Codable, Sendable, Hashable {
    /// Red first.
    case rgb
    /// Blue first, as Caffe's networks and those ported from it.
    case bgr
    /// One channel: the luma of ITU-R 601, as Pillow's `convert("L")` computes it.
    case grey
    /// Channels that no image file has; only tensors can be given.
    case bands
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

    /// An arithmetic; `mean` and `std` have a value per channel.
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

    /// `x / 255`, then the means and deviations of OpenAI's CLIP.
    public static let clip = Normalization(
        scale: 1 / 255, mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.26130258, 0.27577711])

    /// The presets by the names that publishers give them.
    public static let presets: [String: Normalization] = [
        "caffe": .caffe, "tf": .tf, "torch": .torch, "imagenet": .torch, "half": .half,
        "unit": .unit, "clip": .clip, "none": .passThrough, "pass-through": .passThrough,
    ]

    /// The same arithmetic for a network of `count` channels; nil where the channels of this one
    /// differ, so that there is none. One channel is grey.
    public func forChannels(_ count: Int) -> Normalization? {
        if count == mean.count, count == std.count {
            var same = self
            if count == 1 { same.channels = .grey }
            if count == 3, channels != .bgr { same.channels = .rgb }
            return same
        }
        guard count > 0, Set(mean).count == 1, Set(std).count == 1, let mean = mean.first,
            let std = std.first
        else { return nil }
        let order: ChannelOrder = count == 1 ? .grey : count == 3 ? .rgb : .bands
        return Normalization(
            channels: order, scale: scale, mean: Array(repeating: mean, count: count),
            std: Array(repeating: std, count: count))
    }

    /// For each channel of the tensor, the channel of RGB that it comes from.
    public var sources: [Int] {
        switch channels {
        case .rgb: [0, 1, 2]
        case .bgr: [2, 1, 0]
        case .grey: [0]
        case .bands: []
        }
    }

    /// What a colour value becomes in `channel` of the tensor.
    func apply(_ value: Double, channel: Int) -> Double {
        (value * scale - mean[channel]) / std[channel]
    }
}
