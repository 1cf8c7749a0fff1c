// Masks as images: grey values or the colours of Pascal VOC's palette, each standing for a class.

package import GraftImages
public import GraftTensors

/// The class of each pixel as an image file says it.
package struct MaskImage: Sendable {
    package let width: Int
    package let height: Int
    /// The values row by row: 0 is background, 255 counts nowhere.
    package let values: [UInt8]

    package var size: PixelSize { PixelSize(width: width, height: height) }

    package init(width: Int, height: Int, values: [UInt8]) {
        (self.width, self.height, self.values) = (width, height, values)
    }

    /// Reads a mask. Grey pixels are their value; where any pixel has a colour, all are colours of the
    /// palette.
    ///
    /// - Throws: ``MaskError/unknownColor(_:color:x:y:)``, or what decoding throws.
    package static func read(_ path: String) throws -> MaskImage {
        let image = try Image.decode(path: path, orient: false)
        let pixels = image.pixels
        let count = image.width * image.height
        let isGrey = (0..<count).allSatisfy { (at: Int) -> Bool in
            let red = pixels[3 * at]
            return pixels[3 * at + 1] == red && pixels[3 * at + 2] == red
        }
        if isGrey {
            let greys = (0..<count).map { (at: Int) -> UInt8 in pixels[3 * at] }
            return MaskImage(width: image.width, height: image.height, values: greys)
        }
        var known: [Int: UInt8] = [:]
        for (value, key) in palette.enumerated() { known[key] = UInt8(value) }
        let values = try (0..<count).map { at -> UInt8 in
            let color = Color(pixels[3 * at], pixels[3 * at + 1], pixels[3 * at + 2])
            let key: Int = color.key
            guard let value = known[key] else {
                throw MaskError.unknownColor(
                    path, color: key, x: at % image.width, y: at / image.width)
            }
            return value
        }
        return MaskImage(width: image.width, height: image.height, values: values)
    }

    /// An image of the grey values, or of the palette's colours.
    package func image(inColor: Bool) throws -> Image {
        let colors = Self.palette
        let pixels = values.flatMap { value -> [UInt8] in
            guard inColor else { return [value, value, value] }
            let key = colors[Int(value)]
            return [UInt8(key >> 16), UInt8(key >> 8 & 255), UInt8(key & 255)]
        }
        return try Image(width: width, height: height, pixels: pixels)
    }

    /// Pascal VOC's colours: the bits of a value, three at a time, are the high bits of red, green and blue.
    static let palette: [Int] = (0..<256).map { (value: Int) -> Int in
        var (red, green, blue) = (0, 0, 0)
        for bit in 0..<8 {
            let three = value >> (3 * bit)
            red |= (three & 1) << (7 - bit)
            green |= (three >> 1 & 1) << (7 - bit)
            blue |= (three >> 2 & 1) << (7 - bit)
        }
        return red << 16 | green << 8 | blue
    }
}

extension Color {
    fileprivate var key: Int { Int(red) << 16 | Int(green) << 8 | Int(blue) }
}

/// A mask that does not fit its image or its classes.
public enum MaskError: Diagnostic, Equatable {
    /// It has another size than its image.
    case otherSize(String, expected: PixelSize, found: PixelSize)
    /// A pixel has a colour that stands for no class.
    case unknownColor(String, color: Int, x: Int, y: Int)
    /// A pixel has a value that stands for no class.
    case unknownValue(String, value: Int, classes: Int)

    /// The mask, and both values.
    public var message: String {
        switch self {
        case .otherSize(let path, let expected, let found):
            "the mask `\(path)` has \(found.width) × \(found.height) pixels, expected "
                + "\(expected.width) × \(expected.height) as its image has"
        case .unknownColor(let path, let color, let x, let y):
            "the mask `\(path)` has the colour \(color >> 16), \(color >> 8 & 255), \(color & 255) at "
                + "pixel (\(x), \(y)), expected grey values or colours of Pascal VOC's palette"
        case .unknownValue(let path, let value, let classes):
            "the mask `\(path)` has the value \(value), expected 0 to \(classes - 1) or 255"
        }
    }

    /// A remedy.
    public var hint: String? {
        switch self {
        case .otherSize: "resize the mask without blending its values, or draw it again"
        case .unknownColor: "write each class as one grey value, 0 for the background"
        case .unknownValue: "name all classes in classes.txt, a line for each value from 0 on"
        }
    }
}

extension MaskImage {
    /// The pixels of one value as COCO's run lengths.
    package func runs(of value: UInt8) -> AnnotationMask {
        var runs = [0]
        var isInside = false
        for x in 0..<width {
            for y in 0..<height {
                if (values[y * width + x] == value) != isInside {
                    isInside.toggle()
                    runs.append(0)
                }
                runs[runs.count - 1] += 1
            }
        }
        return .runs(runs, width: width, height: height)
    }
}
