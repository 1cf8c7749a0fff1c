// `graft preprocess`: the exact numbers that a network sees of a photo, to compare with another framework's.

import ArgumentParser
import FoundationEssentials
import GraftFormats
import GraftImages
import GraftTensors

struct PreprocessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preprocess",
        abstract: "Write the input of a network for a photo, (1, 3, height, width).",
        discussion: "Example: graft preprocess cat.jpg --normalize torch --size 224 -o x.npy",
        shouldDisplay: false)

    @Argument(help: "Image file (\(ContentKind.readableList))") var photo: String
    @Option(name: .shortAndLong, help: "Where to write the tensor, .npy.") var output: String
    @Option(help: "All of it as JSON, as in a native model's metadata.") var spec: String?
    @Option(help: "caffe, tf, torch, half, unit or pass-through.") var normalize = "torch"
    @Option(help: "The height and width of the input.") var size = 224
    @Option(help: "Resize the shorter side to this and cut out the centre; squash without it.")
    var shorterSide: Int?
    @Option(help: "nearest, bilinear, bicubic, lanczos or tensorflow-bilinear.")
    var kernel = "bilinear"
    @Flag(help: "Ignore the EXIF orientation, as Pillow and TensorFlow do.") var ignoreOrientation =
        false
    @Flag(help: "Decode at a fraction of the size where that is enough, as `predict` does.")
    var reduced = false

    func run() throws {
        let preprocessing = try preprocessing()
        try preprocessing.validate()
        try Npy.write(try preprocessing.tensor(image(for: preprocessing)), to: output)
    }

    /// The whole image, or, of a large one, a reduced image that still covers the input.
    private func image(for preprocessing: Preprocessing) throws -> Image {
        let upright = !ignoreOrientation
        if reduced {
            return try Image.decode(
                path: photo, orient: upright, covering: preprocessing.covering)
        }
        do {
            return try Image.decode(
                path: photo, orient: upright, limits: ImageLimits(pixels: 25_000_000))
        } catch ImageError.tooLarge(_, let width, let height, _) {
            let side = 2 * max(preprocessing.height, preprocessing.width)
            let image = try Image.decode(
                path: photo, orient: upright, covering: preprocessing.covering ?? side)
            if image.width * image.height < width * height {
                Terminal.say(
                    "note: `\(photo)` of \(width) × \(height) pixels was decoded at "
                        + "\(image.width) × \(image.height)")
            }
            return image
        }
    }

    private func preprocessing() throws -> Preprocessing {
        if let spec {
            do {
                return try JSONDecoder().decode(Preprocessing.self, from: Data(spec.utf8))
            } catch {
                throw ValidationError("expected a preprocessing as JSON, found `\(spec)`")
            }
        }
        guard let normalization = Normalization.presets[normalize] else {
            throw ValidationError("expected the name of a normalisation, found `\(normalize)`")
        }
        guard let kernel = Resampling(rawValue: kernel) else {
            throw ValidationError("expected the name of a kernel, found `\(kernel)`")
        }
        return shorterSide.map {
            .centerCrop(size, shorterSide: $0, normalization, kernel: kernel)
        } ?? .squash(height: size, width: size, normalization, kernel: kernel)
    }
}
