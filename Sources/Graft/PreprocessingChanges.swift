// What somebody says of a preprocessing, in part: options, and files of other programs beside weights.

internal import FoundationEssentials
internal import GraftArchitectures
public import GraftImages

/// Parts of a preprocessing; what is nil stays as it was.
public struct PreprocessingChanges: Sendable, Hashable {
    /// A height and a width.
    public struct Size: Sendable, Hashable {
        /// Rows.
        public var height: Int
        /// Columns.
        public var width: Int

        /// A size.
        public init(height: Int, width: Int) {
            self.height = height
            self.width = width
        }
    }

    /// How much of an image is cut off.
    public enum Crop: Sendable, Hashable {
        /// Nothing: both sides are resized to the input's size.
        case none
        /// The shorter side is resized so that the input is this fraction of it.
        case fraction(Double)
        /// The shorter side is resized to this many pixels.
        case shorterSide(Int)
        /// Both sides are resized so that the input is this fraction of them.
        case squashedFraction(Double)
        /// Both sides are resized to this many pixels.
        case squashedSide(Int)
    }

    /// The arithmetic on pixel values.
    public var normalization: Normalization?
    /// The size of the input.
    public var size: Size?
    /// What is cut off.
    public var crop: Crop?
    /// The resize kernel.
    public var kernel: Resampling?
    /// How the centre is found where a margin does not halve.
    public var cropRounding: Preprocessing.CropRounding?

    /// Changes; none by default.
    public init(
        normalization: Normalization? = nil, size: Size? = nil, crop: Crop? = nil,
        kernel: Resampling? = nil
    ) {
        self.normalization = normalization
        self.size = size
        self.crop = crop
        self.kernel = kernel
    }

    /// The changes that make any preprocessing this one.
    public init(_ whole: Preprocessing) {
        self.init(
            normalization: whole.normalization,
            size: Size(height: whole.height, width: whole.width),
            crop: whole.shorterSide.map {
                whole.resize == .squash ? .squashedSide($0) : .shorterSide($0)
            } ?? Crop.none, kernel: whole.kernel)
        cropRounding = whole.cropRounding
    }

    /// Whether nothing is said.
    public var isEmpty: Bool {
        normalization == nil && size == nil && crop == nil && kernel == nil
    }

    /// These changes, and where they are nil, those of `other`.
    public func over(_ other: PreprocessingChanges) -> PreprocessingChanges {
        var joined = PreprocessingChanges(
            normalization: normalization ?? other.normalization, size: size ?? other.size,
            crop: crop ?? other.crop, kernel: kernel ?? other.kernel)
        joined.cropRounding = cropRounding ?? other.cropRounding
        return joined
    }

    /// A preprocessing with these changes, for a network of `channels` channels.
    ///
    /// - Throws: `ImageError.invalidPreprocessing` if it is none, or the arithmetic is of another
    ///   number of channels.
    public func applied(to old: Preprocessing, channels: Int) throws(ImageError) -> Preprocessing {
        var new = old
        if let normalization {
            guard let fitting = normalization.forChannels(channels) else {
                throw .invalidPreprocessing(
                    reason: "it has \(normalization.mean.count) means, the network takes "
                        + "\(channels) \(channels == 1 ? "channel" : "channels")")
            }
            new.normalization = fitting
        }
        if let kernel { new.kernel = kernel }
        if let cropRounding { new.cropRounding = cropRounding }
        if let size {
            new.height = size.height
            new.width = size.width
            // The same share of the image is kept at another size.
            if crop == nil, let side = old.shorterSide {
                let share =
                    Double(max(size.height, size.width)) / Double(max(old.height, old.width))
                new.shorterSide = Self.side(Double(side) * share)
            }
        }
        let longest = Double(max(new.height, new.width))
        // A fraction such as 0.875 is not exact: 224 / 0.875 is 256, not 255.
        func resized(_ fraction: Double) throws(ImageError) -> Int {
            guard fraction > 0, fraction <= 1 else {
                throw .invalidPreprocessing(
                    reason: "expected a crop of a fraction above 0 and at most 1, found \(fraction)"
                )
            }
            return Self.side((longest / fraction + 1e-9).rounded(.down))
        }
        switch crop {
        case nil: break
        case Crop.none?:
            new.resize = .squash
            new.shorterSide = nil
        case .fraction(let fraction):
            new.resize = .shorterSide
            new.shorterSide = try resized(fraction)
        case .shorterSide(let side):
            new.resize = .shorterSide
            new.shorterSide = side
        case .squashedFraction(let fraction):
            new.resize = .squash
            new.shorterSide = try resized(fraction)
        case .squashedSide(let side):
            new.resize = .squash
            new.shorterSide = side
        }
        if new.resize == .squash, new.shorterSide == new.height, new.height == new.width {
            new.shorterSide = nil
        }
        try new.validate()
        return new
    }

    private static func side(_ value: Double) -> Int {
        Int(min(max(value.rounded(), 1), 1e6))
    }
}

extension PreprocessingChanges {
    /// Reads a file: a preprocessing as graft writes it, `preprocessor_config.json` of
    /// transformers, or timm's `config.json` or `pretrained_cfg`.
    ///
    /// - Throws: `ModelError.unusable` if it is none of them.
    public init(file path: String) throws {
        guard let json = try CompanionFiles.json(at: path) else {
            throw ModelError.unusable(
                path, reason: "expected a JSON object of a preprocessing",
                hint: "name a preset or a file: see docs/preprocessing.md")
        }
        var notes: [String] = []
        let found = Self.native(json) ?? CompanionFiles.preprocessing(json, &notes)
        guard let found, !found.isEmpty else {
            throw ModelError.unusable(
                path,
                reason: notes.first
                    ?? "it names no size, mean, deviation or interpolation that graft knows",
                hint: "see docs/preprocessing.md")
        }
        self = found
    }

    private static func native(_ json: JSONTree) -> PreprocessingChanges? {
        guard json["normalization"] != nil, let text = try? json.text(),
            let whole = try? JSONDecoder().decode(Preprocessing.self, from: Data(text.utf8))
        else { return nil }
        return PreprocessingChanges(whole)
    }
}
