// Images that were decoded at a fraction of their size end within a pixel: they are resized as Pillow resizes a box.

import Foundation
import GraftTensors
import Testing

@testable import GraftImages

@Suite struct ExtentTests {
    /// A row of grey pixels of which those between two edges count.
    private func row(_ values: [UInt8], from left: Double, to right: Double) -> Image {
        var image = Image(sized: values.count, 1, values.flatMap { [$0, $0, $0] })
        image.extent.left = left
        image.extent.right = right
        return image
    }

    private func red(_ image: Image) -> [UInt8] {
        stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] }
    }

    /// Image.resize((width, 1), kernel, box=(left, 0, right, 1)).
    @Test(
        arguments: [
            (
                Resampling.bilinear,
                [[30, 105, 188], [52, 135, 210], [0, 36, 73, 110, 147, 184, 221]]
            ),
            (.bicubic, [[23, 103, 193], [47, 137, 217], [0, 35, 73, 110, 147, 184, 225]]),
            (.lanczos, [[22, 100, 196], [44, 140, 218], [0, 35, 74, 111, 148, 182, 227]]),
            (.nearest, [[40, 120, 200], [40, 120, 200], [0, 40, 80, 120, 160, 200, 240]]),
        ] as [(Resampling, [[UInt8]])])
    func resizesThePartThatCounts(kernel: Resampling, expected: [[UInt8]]) {
        let ramp: [UInt8] = [0, 40, 80, 120, 160, 200, 240]
        let edges = [(0, 6.25), (0.75, 7), (0, 6.5)]
        for ((left, right), answer) in zip(edges, expected) {
            let resized = row(ramp, from: left, to: right)
                .resized(width: answer.count, height: 1, kernel)
            #expect(red(resized) == answer)
            #expect(resized.extent == Box(left: 0, top: 0, right: Double(answer.count), bottom: 1))
        }
    }

    @Test func tensorflowsKernelTakesThePartToo() throws {
        let half = Preprocessing.squash(height: 1, width: 2, .passThrough)
        let values = try half.tensor(row([0, 10, 20, 30], from: 0, to: 3)).floats
        #expect(Array(values.prefix(2)) == [2.5, 17.5])
    }

    @Test func aReducedJPEGEndsWithinItsLastPixel() throws {
        let image = try Image.decode(Fixture.bytes("arithmetic.jpg"), covering: 22)
        #expect((image.width, image.height) == (31, 23))
        #expect(image.extent == Box(left: 0, top: 0, right: 30.5, bottom: 22.5))
        let whole = try Image.decode(Fixture.bytes("arithmetic.jpg"))
        #expect(whole.extent == Box(left: 0, top: 0, right: 61, bottom: 45))
    }

    /// Where each orientation puts the right and the lower edge.
    @Test func orientationsMoveTheEdges() throws {
        let image = try Image.decode(Fixture.bytes("arithmetic.jpg"), covering: 22)
        let expected: [Int: [Double]] = [
            1: [0, 0, 30.5, 22.5], 2: [0.5, 0, 31, 22.5], 3: [0.5, 0.5, 31, 23],
            4: [0, 0.5, 30.5, 23], 5: [0, 0, 22.5, 30.5], 6: [0.5, 0, 23, 30.5],
            7: [0.5, 0.5, 23, 31], 8: [0, 0.5, 22.5, 31],
        ]
        for (orientation, edges) in expected {
            let turned = image.oriented(orientation)
            let extent = turned.extent
            #expect([extent.left, extent.top, extent.right, extent.bottom] == edges)
            #expect(turned.covers(extent))
        }
        #expect(image.flippedHorizontally() == image.oriented(2))
        var mirrored = AffineMap.mirrored(width: 31)
        #expect(image.mapped(mirrored).extent == image.oriented(2).extent)
        mirrored = mirrored.after(.flipped(height: 23))
        #expect(image.mapped(mirrored).extent == image.oriented(3).extent)
    }

    /// The size before a crop is that of the whole image: torchvision cuts it to whole pixels.
    @Test func cropsAreMeasuredOnTheWholeImage() throws {
        let image = try Image.decode(Fixture.bytes("arithmetic.jpg"), covering: 22)
        let crop = Preprocessing.centerCrop(9, shorterSide: 11, .passThrough)
        // 61 × 45 to 14 × 11, of which 9 × 9 are kept; 31 × 23 would be the same, 30.5 × 22.5 is.
        let tensor = try crop.tensor(image).floats
        let resized = image.resized(width: 14, height: 11, .bilinear)
        #expect(tensor[0] == Float(resized[2, 1].red))
        #expect(tensor[8 * 9 + 8] == Float(resized[10, 9].red))
    }

    @Test func aCropKeepsTheCutEdgesThatItReaches() throws {
        let image = try Image.decode(Fixture.bytes("arithmetic.jpg"), covering: 22)
        let right = try #require(
            image.cropped(Box(left: 20, top: 4, right: 31, bottom: 10)))
        #expect(right.extent == Box(left: 0, top: 0, right: 10.5, bottom: 6))
        let inner = try #require(image.cropped(Box(left: 2, top: 4, right: 9, bottom: 10)))
        #expect(inner.extent == Box(left: 0, top: 0, right: 7, bottom: 6))
    }
}
