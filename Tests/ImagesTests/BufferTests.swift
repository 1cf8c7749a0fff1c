// Images from pixels in memory: each order of samples, padded rows, and sizes that lie.

import GraftImages
import Testing

@Suite struct BufferTests {
    @Test(arguments: PixelFormat.allCases) func readsEachOrder(format: PixelFormat) throws {
        // Two pixels whose red, green and blue are 1 2 3 and 4 5 6; 9 is alpha.
        let bytes: [UInt8] =
            switch format {
            case .rgb: [1, 2, 3, 4, 5, 6]
            case .bgr: [3, 2, 1, 6, 5, 4]
            case .rgba: [1, 2, 3, 9, 4, 5, 6, 9]
            case .bgra: [3, 2, 1, 9, 6, 5, 4, 9]
            case .argb: [9, 1, 2, 3, 9, 4, 5, 6]
            case .abgr: [9, 3, 2, 1, 9, 6, 5, 4]
            case .grey: [1, 4]
            case .greyAlpha: [1, 9, 4, 9]
            }
        let isGrey = format == .grey || format == .greyAlpha
        let expected: [UInt8] = isGrey ? [1, 1, 1, 4, 4, 4] : [1, 2, 3, 4, 5, 6]
        let wide = try Image(copying: bytes, format: format, width: 2, height: 1)
        #expect(wide.pixels == expected)
        // The same as two rows with padding between them and none behind.
        let half = format.byteCount
        let padded = Array(bytes[..<half]) + [7, 7, 7] + Array(bytes[half...])
        let tall = try Image(
            copying: padded, format: format, width: 1, height: 2, rowStride: half + 3)
        #expect(tall.pixels == expected && tall.height == 2)
    }

    @Test(
        arguments: [
            (0, 1, nil), (1, 0, nil), (-1, 1, nil), (1, -1, nil), (3, 1, nil), (1, 3, nil),
            (2, 1, 3), (1, 2, -4), (1, 2, Int.max), (Int.max, Int.max, nil),
            (1 << 24, 1 << 24, nil),
        ] as [(Int, Int, Int?)])
    func refusesSizesThatLie(width: Int, height: Int, stride: Int?) {
        #expect(throws: ImageError.self) {
            try Image(
                copying: [1, 2, 3, 4, 5, 6, 7, 8], format: .rgba, width: width, height: height,
                rowStride: stride)
        }
    }
}
