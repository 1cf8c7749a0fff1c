// The kernels that pictures are resized with, and the part of the result that is wanted.

/// A resize kernel, by who defined it. Weights expect the one that they were trained with.
public enum Resampling: String, Codable, Sendable, Hashable, CaseIterable {
    /// Pillow's `NEAREST`.
    case nearest
    /// Pillow's `BILINEAR`: a triangle that widens when shrinking, so that nothing is skipped.
    case bilinear
    /// Pillow's `BICUBIC`, a = −½, widened when shrinking.
    case bicubic
    /// Pillow's `LANCZOS`, three lobes, widened when shrinking.
    case lanczos
    /// `tf.image.resize(method="bilinear", antialias=False)`: half-pixel centres, four
    /// neighbours whatever the scale, results not rounded. What Keras' data sets do.
    case tensorflowBilinear = "tensorflow-bilinear"
}

/// The part of a resized picture that is computed: a crop costs only what it keeps.
struct Region: Hashable {
    var x: Int
    var y: Int
    var width: Int
    var height: Int
}

extension Image {
    /// The picture at another size.
    ///
    /// ``Resampling/tensorflowBilinear`` is rounded to 8 bits here, to nearest even;
    /// ``Preprocessing`` keeps its fractions.
    ///
    /// - Parameters:
    ///   - width: clamped to 1 to 65,535 columns.
    ///   - height: clamped to 1 to 65,535 rows.
    public func resized(width: Int, height: Int, _ kernel: Resampling) -> Image {
        let (width, height) = (min(max(width, 1), 65_535), min(max(height, 1), 65_535))
        return resized(
            width, height, kernel, keeping: Region(x: 0, y: 0, width: width, height: height))
    }

    /// The `region` of the picture resized to `newWidth` × `newHeight`.
    func resized(_ newWidth: Int, _ newHeight: Int, _ kernel: Resampling, keeping region: Region)
        -> Image
    {
        precondition(newWidth > 0 && newHeight > 0 && region.width > 0 && region.height > 0)
        switch kernel {
        case .nearest: return nearest(newWidth, newHeight, region)
        case .bilinear: return pillow(newWidth, newHeight, region, .triangle)
        case .bicubic: return pillow(newWidth, newHeight, region, .cubic)
        case .lanczos: return pillow(newWidth, newHeight, region, .lanczos)
        case .tensorflowBilinear:
            let values = [Float](unsafeUninitializedCapacity: region.width * region.height * 3) {
                tensorflowBilinear(newWidth, newHeight, region, into: $0)
                $1 = region.width * region.height * 3
            }
            let pixels = values.map { UInt8(min(max($0.rounded(.toNearestOrEven), 0), 255)) }
            return Image(sized: region.width, region.height, pixels)
        }
    }
}
