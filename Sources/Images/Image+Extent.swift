// The part of an image's pixels that the picture covers, as pixels are moved.

extension Image {
    /// An image decoded at `1 / factor` of its size, rounded up to whole pixels, as TurboJPEG and
    /// ``RowReducer`` do; Pillow's `draft` calls the extent its `box`.
    init(
        reduced pixels: [UInt8], width: Int, height: Int, from whole: (Int, Int), by factor: Int
    ) {
        self.init(sized: width, height, pixels)
        extent.right = Double(whole.0) / Double(factor)
        extent.bottom = Double(whole.1) / Double(factor)
    }

    /// Whether an extent is one of this image's: it begins in the first pixel and ends in the last.
    func covers(_ extent: Box) -> Bool {
        (0..<1).contains(extent.left) && (0..<1).contains(extent.top)
            && extent.right > Double(width - 1) && extent.right <= Double(width)
            && extent.bottom > Double(height - 1) && extent.bottom <= Double(height)
            && extent.left < extent.right && extent.top < extent.bottom
    }

    /// The extent of this image under a map that keeps its size: mirrored, where that mirrors it.
    func extent(under map: AffineMap) -> Box {
        let across = map.a < 0 ? extent.oriented(2, in: self) : extent
        return map.d < 0 ? across.oriented(4, in: self) : across
    }
}

extension Box {
    /// The box once the image that it is in was turned as EXIF's orientation asks.
    func oriented(_ orientation: Int, in image: Image) -> Box {
        let (width, height) = (Double(image.width), Double(image.height))
        let mirrored = Box(left: width - right, top: top, right: width - left, bottom: bottom)
        func flipped(_ box: Box) -> Box {
            Box(
                left: box.left, top: height - box.bottom, right: box.right, bottom: height - box.top
            )
        }
        func transposed(_ box: Box) -> Box {
            Box(left: box.top, top: box.left, right: box.bottom, bottom: box.right)
        }
        return switch orientation {
        case 2: mirrored
        case 3: flipped(mirrored)
        case 4: flipped(self)
        case 5: transposed(self)
        case 6: transposed(flipped(self))
        case 7: transposed(flipped(mirrored))
        case 8: transposed(mirrored)
        default: self
        }
    }

    /// The box's part in `image`, which begins at a column and a row of the image that the box is in.
    func inside(_ image: Image, column: Int, row: Int) -> Box {
        let (x, y) = (Double(column), Double(row))
        return Box(
            left: max(left - x, 0), top: max(top - y, 0),
            right: min(right - x, Double(image.width)),
            bottom: min(bottom - y, Double(image.height))
        )
    }
}
