// Resize, crop and normalise: small cases whose results Pillow, torchvision and TensorFlow gave.

import Foundation
import GraftImages
import GraftTensors
import Testing

@Suite struct PreprocessingTests {
    /// A row of grey pixels.
    private func row(_ values: [UInt8]) -> Image {
        Image(sized: values.count, 1, values.flatMap { [$0, $0, $0] })
    }

    private func red(_ image: Image) -> [UInt8] {
        stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] }
    }

    @Test func pillowKernels() {
        let ramp = row([0, 40, 80, 120, 160, 200, 240])
        #expect(red(ramp.resized(width: 7, height: 1, .bicubic)) == red(ramp))
        #expect(red(ramp.resized(width: 3, height: 1, .bilinear)) == PillowAnswers.bilinear)
        #expect(red(ramp.resized(width: 3, height: 1, .bicubic)) == PillowAnswers.bicubic)
        #expect(red(ramp.resized(width: 3, height: 1, .lanczos)) == PillowAnswers.lanczos)
        #expect(red(ramp.resized(width: 3, height: 1, .nearest)) == PillowAnswers.nearest)
        #expect(red(ramp.resized(width: 11, height: 1, .bicubic)) == PillowAnswers.enlarged)
    }

    @Test func tensorflowBilinearKeepsFractions() throws {
        let squash = Preprocessing.squash(height: 1, width: 4, .passThrough)
        #expect(try Array(squash.tensor(row([0, 1])).floats.prefix(4)) == [0, 0.25, 0.75, 1])
        let half = Preprocessing.squash(height: 1, width: 2, .passThrough)
        #expect(try Array(half.tensor(row([0, 1, 2, 3])).floats.prefix(2)) == [0.5, 2.5])
    }

    @Test func normalizations() throws {
        let image = try Image(width: 2, height: 2, color: Color(255, 0, 51))
        func values(_ normalization: Normalization) throws -> [Float] {
            let all = try Preprocessing.squash(
                height: 2, width: 2, normalization, kernel: .bilinear
            )
            .tensor(image).floats
            return [all[0], all[4], all[8]]
        }
        let answers: [(Normalization, [Float])] = [
            (.passThrough, [255, 0, 51]), (.unit, [1, 0, 0.2]), (.tf, [1, -1, -0.6]),
            (.half, [1, -1, -0.6]), (.caffe, [-52.939, -116.779, 131.32]),
            (.torch, [0.515 / 0.229, -0.456 / 0.224, -0.206 / 0.225]),
        ]
        for (normalization, answer) in answers {
            for (value, wanted) in zip(try values(normalization), answer) {
                #expect(abs(value - wanted) < 1e-4)
            }
        }
    }

    /// The part that is computed is the part that a whole resize would have there.
    @Test(arguments: Resampling.allCases) func aCropIsAPartOfTheWhole(kernel: Resampling) throws {
        let image = DrawnShapes.stripes.image(seed: 5, size: 61)
        let whole = image.resized(width: 40, height: 40, kernel)
        let crop = try Preprocessing.centerCrop(24, shorterSide: 40, .passThrough, kernel: kernel)
            .tensor(image).floats
        for y in 0..<24 {
            for x in 0..<24 {
                #expect(abs(crop[y * 24 + x] - Float(whole[x + 8, y + 8].red)) <= 0.5)
            }
        }
    }

    @Test func aSmallPhotoIsPaddedWithBlack() throws {
        let image = try Image(width: 4, height: 4, color: .white)
        let values = try Preprocessing.centerCrop(7, shorterSide: 4, .unit).tensor(image).floats
        #expect(values.reduce(0, +) == 48)
        #expect(values[1 * 7 + 1] == 1 && values[0] == 0 && values[5 * 7 + 5] == 0)
    }

    @Test func aLongPhotoCostsOnlyItsCrop() throws {
        let image = try Image(width: 16_000, height: 2, color: .white)
        let spec = Preprocessing.centerCrop(224, shorterSide: 256, .unit)
        #expect(try spec.tensor(image).floats.allSatisfy { $0 == 1 })
    }

    @Test func comesBackFromJSON() throws {
        let spec = Preprocessing.centerCrop(224, shorterSide: 256, .half, kernel: .bicubic)
        let json = try JSONEncoder().encode(spec)
        #expect(try JSONDecoder().decode(Preprocessing.self, from: json) == spec)
        var bad = spec
        bad.normalization.std = [1, 0, 1]
        #expect(throws: ImageError.self) { try bad.validate() }
        bad = spec
        bad.shorterSide = nil
        #expect(throws: ImageError.self) { try bad.validate() }
        bad = spec
        bad.height = 1 << 40
        #expect(throws: ImageError.self) { try bad.validate() }
        bad = spec
        bad.normalization.mean = []
        #expect(throws: ImageError.self) { try bad.validate() }
    }

    @Test func drawingsComeBackFromTheirSeed() {
        for shape in DrawnShapes.allCases {
            #expect(shape.image(seed: 1) == shape.image(seed: 1))
            #expect(shape.image(seed: 1) != shape.image(seed: 2))
        }
        let image = DrawnShapes.circle.image(seed: 9, size: 20)
        #expect(image.flippedHorizontally().flippedHorizontally() == image)
        #expect(image.flippedHorizontally()[0, 3] == image[19, 3])
    }
}

/// What Pillow answered.
private enum PillowAnswers {
    static let bilinear: [UInt8] = [34, 120, 206]
    static let bicubic: [UInt8] = [29, 120, 211]
    static let lanczos: [UInt8] = [26, 120, 214]
    static let nearest: [UInt8] = [40, 120, 200]
    static let enlarged: [UInt8] = [0, 14, 44, 69, 95, 120, 145, 171, 196, 226, 243]
}
