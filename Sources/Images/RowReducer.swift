// Rows of a large image to a smaller image: the means of squares of pixels, so that the large one is never whole in memory.

/// Takes the rows of an image from the top and keeps it at a whole fraction of its size.
struct RowReducer {
    /// The fractions that JPEG is decoded at too: a half, a quarter, an eighth.
    static let factors = [8, 4, 2]

    private let width: Int
    private let height: Int
    private let factor: Int
    private let target: (width: Int, height: Int)
    private var pixels: [UInt8]
    /// The sums of one row of the target; of all its rows if pixels come in any order.
    private var sums: [UInt32] = []
    private var nextRow = 0

    /// The largest factor at which the shorter side of an image is still at least `covering` long.
    static func factor(width: Int, height: Int, covering: Int?) -> Int {
        guard let covering else { return 1 }
        return factors.first { min(width, height) / $0 >= max(1, covering) } ?? 1
    }

    /// The factor for an image that is decoded by rows: 1 where it fits into `limits` and is of no more
    /// pixels than are worth it, for then it is resized by the kernel that is asked for alone.
    static func factor(width: Int, height: Int, covering: Int?, limits: ImageLimits) -> Int {
        let isSmall =
            limits.allow(width: width, height: height)
            && width * height <= ImageLimits.exactPixels
        return isSmall ? 1 : factor(width: width, height: height, covering: covering)
    }

    /// A reduction of an image of this size, which the caller has checked against its limits.
    init(width: Int, height: Int, factor: Int) {
        self.width = width
        self.height = height
        self.factor = factor
        target = ((width + factor - 1) / factor, (height + factor - 1) / factor)
        pixels = []
        if factor == 1 {
            pixels.reserveCapacity(width * height * 3)
        } else {
            pixels.reserveCapacity(target.width * target.height * 3)
            sums = [UInt32](repeating: 0, count: target.width * 3)
        }
    }

    /// Adds the next row, `width` pixels of red, green and blue; rows beyond the height are ignored.
    mutating func add(row: UnsafeBufferPointer<UInt8>) {
        guard nextRow < height, row.count >= width * 3 else { return }
        nextRow += 1
        guard factor > 1 else {
            pixels.append(contentsOf: row[..<(width * 3)])
            return
        }
        var at = 0
        var x = 0
        while x < width {
            let end = min(x + factor, width)
            var (red, green, blue): (UInt32, UInt32, UInt32) = (0, 0, 0)
            for pixel in x..<end {
                red += UInt32(row[pixel * 3])
                green += UInt32(row[pixel * 3 + 1])
                blue += UInt32(row[pixel * 3 + 2])
            }
            sums[at] += red
            sums[at + 1] += green
            sums[at + 2] += blue
            at += 3
            x = end
        }
        if nextRow % factor == 0 || nextRow == height { closeRow() }
    }

    private mutating func closeRow() {
        let rows = (nextRow - 1) % factor + 1
        for x in 0..<target.width {
            let count = UInt32(rows * min(factor, width - x * factor))
            for part in 0..<3 {
                pixels.append(UInt8((sums[x * 3 + part] + count / 2) / count))
                sums[x * 3 + part] = 0
            }
        }
    }

    /// The image, once all rows were added; nil before.
    consuming func image() -> Image? {
        guard nextRow == height else { return nil }
        return Image(
            reduced: pixels, width: target.width, height: target.height, from: (width, height),
            by: factor)
    }
}
