// One publication of weights: where it is, what it is, and how to feed it.

/// A file of weights that somebody publishes, and what there is to know before fetching it.
public struct RegistryEntry: Codable, Sendable, Hashable {
    /// The architecture with a tag: `resnet50:notop`, `torchvision/resnet50:IMAGENET1K_V2`.
    public let name: String
    /// What `GraftArchitectures` calls its network: `mobilenet:0.25-128`; nil where graft has none,
    /// so that the file can be fetched, listed and opened, but not run.
    public let architecture: String?
    /// Whether the bare name of the architecture means this publication.
    public let isDefault: Bool
    /// Where the file is: `https://…`, `hf://OWNER/NAME/FILE` or `pypi:PACKAGE==VERSION/FILE`.
    public let url: String
    /// `sha256:…`, `md5:…` or `sha256-prefix:…`; nil where the publisher gives none.
    public let digest: String?
    /// The exact size of the file, where it is known.
    public let byteCount: Int?
    /// `keras-h5`, `torch`, `safetensors`, or `saved-model` and `tf1-hub` in an archive.
    public let format: String
    /// Whether the classifier is in the file.
    public let top: Bool
    /// How its publisher feeds images to it, where graft can do the same.
    public let input: Input?
    /// The list of its classes' names, for `Registry.labels(_:)`.
    public let labels: String?
    /// The SPDX identifier of the weights' licence, where the publisher states one.
    public let licence: String?
    /// The published accuracy on ImageNet's validation set, 0 to 1.
    public let top1: Double?
    /// The published accuracy of the best five guesses, 0 to 1.
    public let top5: Double?
    /// The number of layers that have weights: Keras' "depth".
    public let depth: Int?
    /// The count of parameters, moving statistics included where the publisher counts them.
    public let parameters: Int?

    /// How many classes it tells apart, where they are not ImageNet's 1000.
    public let classes: Int?

    /// The size of the file: the exact one, or four bytes for each parameter; nil where neither is known.
    public var estimatedByteCount: Int? { byteCount ?? parameters.map { $0 * 4 } }

    /// The name without the tag: `resnet50`, `torchvision/resnet50`.
    public var base: Substring { name.prefix { $0 != ":" } }

    /// How images become the network's input.
    public struct Input: Codable, Sendable, Hashable {
        /// The height of the input in pixels.
        public let height: Int
        /// The width of the input in pixels.
        public let width: Int
        /// `caffe`, `tf`, `torch`, `half` or `none`.
        public let normalization: String
        /// `squash` to the size, or `centerCrop` from the image scaled to `shorterSide`.
        public let resize: String
        /// The length that the shorter side is scaled to before cropping.
        public let shorterSide: Int?
        /// `bilinear`, `tensorflow-bilinear` (no antialias), `bicubic` or `nearest`.
        public let interpolation: String
    }
}
