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

    @Argument(help: "A photo: JPEG, PNG or WebP.") var photo: String
    @Option(name: .shortAndLong, help: "The PNG to write.") var output: String
    @Flag(help: "Sixteen changes side by side, the photo itself first.") var grid = false
    @Option(help: "Rows and columns of a tile of the grid.") var tile = 160
    @Option(help: "The seed: same seed, same pixels.") var seed: UInt64 = 0
    @OptionGroup var settings: AugmentationSettings
    @Option(help: .hidden, transform: choice) var operation: ImageOperation?
    @Option(help: .hidden) var amount: Double = 1

    func validate() throws {
        guard (8...1024).contains(tile) else {
            throw ValidationError("--tile takes 8 to 1024")
        }
    }

    func run() throws {
        let image = try Image.decode(path: photo)
        if let operation {
            try operation.apply(image, amount).writePNG(to: output)
            Terminal.answer(output)
            return
        }
        let augmentation = try settings.augmentation()
        var random = RandomSource(seed: seed)
        guard grid else {
            try augmentation.apply(image, using: &random).writePNG(to: output)
            Terminal.answer(output)
            return
        }
        var sheet = Image(width: 4 * tile, height: 4 * tile)
        for index in 0..<16 {
            let seen = index == 0 ? image : augmentation.apply(image, using: &random)
            let small = seen.resized(width: tile, height: tile, .bilinear)
            for y in 0..<tile {
                for x in 0..<tile {
                    sheet[index % 4 * tile + x, index / 4 * tile + y] = small[x, y]
                }
            }
        }
        try sheet.writePNG(to: output)
        Terminal.answer(output)
    }
}
