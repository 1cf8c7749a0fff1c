// What a set of weights expects of an image: resize, crop, normalise. Written down with the model.

public import GraftTensors

/// The way from an image to the input of a network.
///
/// As JSON: `{"resize": "shorter-side", "shorterSide": 256, "kernel": "bilinear", "height": 224,
/// "width": 224, "normalization": {…}}`.
public struct Preprocessing: Codable, Sendable, Hashable {
    /// How an image is brought to the size of the input.
    public enum Resize: String, Codable, Sendable, Hashable {
        /// Both sides to the size of the input, or to ``Preprocessing/shorterSide`` and then the
        /// centre of the input's size; the image's proportions are lost. Keras.
        case squash
        /// The shorter side to ``Preprocessing/shorterSide``, then the centre of the input's
        /// size. torchvision and timm.
        case shorterSide = "shorter-side"
    }

    /// How the centre is found where a margin does not halve.
    public enum CropRounding: String, Codable, Sendable, Hashable {
        /// Half a pixel goes to the even neighbour: torchvision and timm.
        case even
        /// Half a pixel is dropped: transformers.
        case down
    }

    /// How an image is brought to the size of the input.
    public var resize: Resize
    /// The length of the shorter side before the crop; with ``Resize/squash`` that of both sides,
    /// or nil where nothing is cropped.
    public var shorterSide: Int?
    /// The resize kernel.
    public var kernel: Resampling
    /// Rows of the input.
    public var height: Int
    /// Columns of the input.
    public var width: Int
    /// The arithmetic on a colour value.
    public var normalization: Normalization
    /// How the centre is found where a margin does not halve; nil is ``CropRounding/even``.
    public var cropRounding: CropRounding?

    /// Both sides to the input's size, as Keras does.
    public static func squash(
        height: Int, width: Int, _ normalization: Normalization,
        kernel: Resampling = .tensorflowBilinear
    ) -> Preprocessing {
        Preprocessing(
            resize: .squash, shorterSide: nil, kernel: kernel, height: height, width: width,
            normalization: normalization)
    }

    /// The shorter side to `shorterSide`, then the centre `crop` × `crop`, as torchvision does.
    public static func centerCrop(
        _ crop: Int, shorterSide: Int, _ normalization: Normalization,
        kernel: Resampling = .bilinear
    ) -> Preprocessing {
        Preprocessing(
            resize: .shorterSide, shorterSide: shorterSide, kernel: kernel, height: crop,
            width: crop, normalization: normalization)
    }

    /// The shorter side that an image may be decoded at without a difference that matters: twice
    /// what is needed, since the resize that follows averages. Nil where it does not, because
    /// then every pixel of the whole image decides (TensorFlow's kernel, nearest).
    public var covering: Int? {
        guard kernel != .tensorflowBilinear, kernel != .nearest else { return nil }
        return 2 * max(height, width, shorterSide ?? 0)
    }

    /// Reads an image as large as this preprocessing needs it.
    public func open(_ path: String) throws -> Image {
        try Image.decode(path: path, covering: covering)
    }

    /// The number of channels of the tensor.
    public var channels: Int { normalization.mean.count }

    /// Whether images can be given: networks of other channels than grey or RGB take tensors only.
    public var takesImages: Bool { !normalization.sources.isEmpty }

    /// The shape of one image's tensor.
    public var shape: Shape { [1, channels, height, width] }

    /// Throws unless every number makes sense; call it on what came from a file.
    public func validate() throws(ImageError) {
        let sides = ImageLimits().side
        func reject(_ reason: String) -> ImageError { .invalidPreprocessing(reason: reason) }
        guard (1...sides).contains(height), (1...sides).contains(width) else {
            throw reject(
                "expected a height and a width of 1 to \(sides), found \(height) × \(width)")
        }
        if resize == .shorterSide || shorterSide != nil {
            guard let shorterSide, (1...sides).contains(shorterSide) else {
                throw reject(
                    "expected a `shorterSide` of 1 to \(sides), found "
                        + (shorterSide.map { "\($0)" } ?? "none"))
            }
        }
        let sources = normalization.sources.count
        let (expected, count) =
            sources > 0 ? ("\(sources)", sources) : ("1 or more", max(normalization.mean.count, 1))
        guard normalization.mean.count == count, normalization.std.count == count, count <= 65536
        else {
            throw reject(
                "expected \(expected) means and as many deviations, found "
                    + "\(normalization.mean.count) and \(normalization.std.count)")
        }
        guard normalization.std.allSatisfy({ $0.isFinite && $0 != 0 }),
            normalization.mean.allSatisfy(\.isFinite), normalization.scale.isFinite
        else {
            throw reject("its normalisation divides by zero or is not finite")
        }
    }

    /// The input for one image: (1, channels, height, width).
    ///
    /// - Throws: what ``validate()`` throws.
    public func tensor(_ image: Image) throws(ImageError) -> Tensor {
        try validate()
        return Tensor(shape: shape) { write(image, into: $0) }
    }

    /// Writes the input for one image, channels · height · width numbers, channel by channel: a row
    /// of a batch. What does not take images gets zeros.
    package func write(_ image: Image, into target: UnsafeMutableBufferPointer<Float>) {
        precondition(target.count >= channels * height * width)
        guard takesImages else { return target.update(repeating: 0) }
        let image = normalization.channels == .grey ? image.grey() : image
        let placed = placement(of: image.extent)
        if placed.region.width < width || placed.region.height < height {
            // The crop is larger than the image: torchvision pads with black.
            for channel in 0..<channels {
                let black = Float(normalization.apply(0, channel: channel))
                let plane = channel * height * width
                for at in 0..<(height * width) { target[plane + at] = black }
            }
        }
        if kernel == .tensorflowBilinear {
            writeFloats(image, placed, target)
        } else {
            writeBytes(image, placed, target)
        }
    }

    private struct Placement {
        var width: Int
        var height: Int
        var region: Region
        var left: Int
        var top: Int
    }

    /// The size that the image is resized to, the part of it that is kept, and where that goes.
    private func placement(of extent: Box) -> Placement {
        let oldWidth = extent.right - extent.left
        let oldHeight = extent.bottom - extent.top
        guard let side = shorterSide else {
            let all = Region(x: 0, y: 0, width: width, height: height)
            return Placement(width: width, height: height, region: all, left: 0, top: 0)
        }
        let isSquashed = resize == .squash
        // torchvision: the longer side is cut to an integer, not rounded.
        func longer(_ long: Double, over short: Double) -> Int { Int(Double(side) * long / short) }
        let newWidth =
            isSquashed || oldWidth <= oldHeight ? side : longer(oldWidth, over: oldHeight)
        let newHeight =
            isSquashed || oldWidth > oldHeight ? side : longer(oldHeight, over: oldWidth)
        // (first row or column kept, how many, where they go)
        func cut(_ new: Int, _ wanted: Int) -> (Int, Int, Int) {
            guard new < wanted else {
                let offset = (Double(new - wanted) / 2).rounded(
                    cropRounding == .down ? .down : .toNearestOrEven)
                return (Int(offset), wanted, 0)
            }
            return (0, new, (wanted - new) / 2)
        }
        let (x, columns, left) = cut(newWidth, width)
        let (y, rows, top) = cut(newHeight, height)
        return Placement(
            width: newWidth, height: newHeight,
            region: Region(x: x, y: y, width: columns, height: rows), left: left, top: top)
    }

    /// 8-bit kernels: each of the 256 values is normalised once.
    private func writeBytes(
        _ image: Image, _ placed: Placement, _ target: UnsafeMutableBufferPointer<Float>
    ) {
        let resized = image.resized(placed.width, placed.height, kernel, keeping: placed.region)
        let region = placed.region
        resized.pixels.withUnsafeBufferPointer { source in
            for channel in 0..<channels {
                let table = (0..<256).map {
                    Float(normalization.apply(Double($0), channel: channel))
                }
                table.withUnsafeBufferPointer { table in
                    var from = normalization.sources[channel]
                    for row in 0..<region.height {
                        let to = (channel * height + row + placed.top) * width + placed.left
                        for column in 0..<region.width {
                            target[to &+ column] = table[Int(source[from])]
                            from &+= 3
                        }
                    }
                }
            }
        }
    }

    /// TensorFlow's kernel: its fractions are kept.
    private func writeFloats(
        _ image: Image, _ placed: Placement, _ target: UnsafeMutableBufferPointer<Float>
    ) {
        let region = placed.region
        let count = region.width * region.height * 3
        let values = [Float](unsafeUninitializedCapacity: count) {
            image.tensorflowBilinear(placed.width, placed.height, region, into: $0)
            $1 = count
        }
        values.withUnsafeBufferPointer { source in
            for channel in 0..<channels {
                let scale = Float(normalization.scale / normalization.std[channel])
                let shift = Float(-normalization.mean[channel] / normalization.std[channel])
                var from = normalization.sources[channel]
                for row in 0..<region.height {
                    let to = (channel * height + row + placed.top) * width + placed.left
                    for column in 0..<region.width {
                        target[to &+ column] = source[from] * scale + shift
                        from &+= 3
                    }
                }
            }
        }
    }
}
