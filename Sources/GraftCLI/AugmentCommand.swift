// `graft augment`: what a network would see of a photo.

import ArgumentParser
import Graft
import GraftImages
import GraftTensors
import GraftTraining

struct AugmentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "augment",
        abstract: "Draw random changes of a photo, as training makes them.",
        discussion: "Example: graft augment photo.jpg --augment strong --grid -o grid.png")

    @Argument(help: "Image file (\(ContentKind.readableList))") var photo: String
    @Option(name: .shortAndLong, help: "The PNG to write.") var output: String
    @Flag(help: "Sixteen changes side by side, the photo itself first.") var grid = false
    @Option(help: "Rows and columns of a tile of the grid.") var tile = 160
    @Option(help: "The seed: same seed, same pixels.") var seed: UInt64 = 0
    @Flag(help: "Mirror left and right.") var flip = false
    @OptionGroup var settings: AugmentationSettings
    @Option(
        help: ArgumentHelp(
            "Draw the boxes of the photo, which follow its pixels.",
            discussion: "COCO's .json, YOLO's .yaml or a Pascal VOC folder that names the photo."))
    var annotations: String?
    @Option(help: "How much of a box must stay in the picture, 0 to 1, for it to be kept.")
    var visible = 0.1
    @Option(help: "A mask, a PNG as large as the photo: it follows the pixels too.")
    var mask: String?
    @Option(help: "Where the changed mask is written, .png.") var maskOutput: String?
    @Flag(help: "Print one JSON object: the file, and the boxes of each picture in it.")
    var json = false
    @Option(help: .hidden, transform: choice) var operation: ImageOperation?
    @Option(help: .hidden) var amount: Double = 1

    struct Answer: Encodable {
        struct Thing: Encodable {
            let label: String
            let box: Box
        }
        let output: String
        let pictures: [[Thing]]
    }

    func validate() throws {
        guard (8...1024).contains(tile) else {
            throw ValidationError("--tile takes 8 to 1024")
        }
        guard (0...1).contains(visible) else {
            throw ValidationError("--visible takes 0 to 1")
        }
        guard (mask == nil) == (maskOutput == nil), mask == nil || !grid else {
            throw ValidationError("--mask and --mask-output go together, and without --grid")
        }
    }

    func run() throws {
        let image = try Image.decode(path: photo)
        if let operation {
            try operation.apply(image, amount).writePNG(to: output)
            Terminal.answer(output)
            return
        }
        var augmentation = try settings.augmentation()
        if flip { augmentation.flip = true }
        if augmentation.isNothing {
            Terminal.say("note: nothing is changed: name changes, for example `--augment light`")
        }
        let things = try annotated()
        var random = RandomSource(seed: seed)
        func changed() -> (Image, AffineMap, [Answer.Thing]) {
            let draw = augmentation.draw(
                width: image.width, height: image.height, using: &random)
            let moved = things.compactMap { thing in
                draw.map.moved(
                    thing.box, width: image.width, height: image.height, visible: visible
                ).map { Answer.Thing(label: thing.label, box: $0) }
            }
            return (image.changed(by: draw), draw.map, moved)
        }
        guard grid else {
            var (seen, map, moved) = changed()
            if let mask, let maskOutput {
                try Self.moved(try Image.decode(path: mask), map, like: image, mask)
                    .writePNG(to: maskOutput)
            }
            Self.outline(moved, in: &seen)
            try seen.writePNG(to: output)
            return try answer([moved])
        }
        var sheet = try Image(width: 4 * tile, height: 4 * tile)
        var pictures: [[Answer.Thing]] = []
        for index in 0..<16 {
            var (seen, moved) = (image, things)
            if index > 0 { (seen, _, moved) = changed() }
            Self.outline(moved, in: &seen)
            pictures.append(moved)
            let small = seen.resized(width: tile, height: tile, .bilinear)
            for y in 0..<tile {
                for x in 0..<tile {
                    sheet[index % 4 * tile + x, index / 4 * tile + y] = small[x, y]
                }
            }
        }
        try sheet.writePNG(to: output)
        try answer(pictures)
    }

    private func answer(_ pictures: [[Answer.Thing]]) throws {
        Terminal.answer(
            json ? try JSON.line(Answer(output: output, pictures: pictures)) : output)
    }

    /// The boxes of the photo.
    private func annotated() throws -> [Answer.Thing] {
        guard let annotations else { return [] }
        guard let found = try AnnotatedImages.read(annotations).image(at: photo) else {
            throw ModelError.unusable(
                annotations, reason: "says nothing about `\(photo)`",
                hint: "name a photo that it lists")
        }
        return found.objects.compactMap { object in
            object.boundingBox.map { Answer.Thing(label: object.label, box: $0) }
        }
    }

    /// Draws boxes, each label in a colour of its own.
    private static func outline(_ things: [Answer.Thing], in image: inout Image) {
        let labels = Set(things.map(\.label)).sorted()
        for thing in things {
            let ink = Image.ink(labels.firstIndex(of: thing.label) ?? 0)
            image.outline(thing.box, thickness: image.lineWidth, ink)
        }
    }

    private static func moved(
        _ mask: Image, _ map: AffineMap, like image: Image, _ path: String
    ) throws -> Image {
        guard mask.width == image.width, mask.height == image.height else {
            throw ModelError.unusable(
                path,
                reason: "expected \(image.width) × \(image.height) pixels as of the photo, "
                    + "found \(mask.width) × \(mask.height)", hint: nil)
        }
        let count = mask.width * mask.height
        var pixels = mask.pixels
        for channel in 0..<3 {
            let plane = map.moved(
                (0..<count).map { mask.pixels[$0 * 3 + channel] }, width: mask.width,
                height: mask.height)
            for at in 0..<count { pixels[at * 3 + channel] = plane[at] }
        }
        return try Image(width: mask.width, height: mask.height, pixels: pixels)
    }
}
