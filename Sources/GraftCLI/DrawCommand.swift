// `graft draw`: a folder of drawn pictures to try things on, where there is no camera and no network.

import ArgumentParser
import FoundationEssentials
import Glibc
import GraftImages
import GraftTensors

struct DrawCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "draw",
        abstract: "Draw pictures of shapes, one folder per class, to try training on.",
        discussion: "Example: graft draw shapes --classes 4 --count 40")

    @Argument(help: "The folder to make.") var folder: String
    @Option(help: "How many kinds of shapes, 2 to \(DrawnShapes.allCases.count).") var classes = 4
    @Option(help: "How many pictures of each.") var count = 40
    @Option(help: "Rows and columns of a picture.") var size = 96
    @Option(help: "The seed: same seed, same pixels.") var seed: UInt64 = 0

    func validate() throws {
        guard (2...DrawnShapes.allCases.count).contains(classes) else {
            throw ValidationError("--classes takes 2 to \(DrawnShapes.allCases.count)")
        }
        guard (1...100_000).contains(count), (16...1024).contains(size) else {
            throw ValidationError("--count takes 1 to 100000, --size 16 to 1024")
        }
    }

    func run() throws {
        guard access(folder, F_OK) != 0 else { throw FileError("create", folder, code: EEXIST) }
        for shape in DrawnShapes.allCases.prefix(classes) {
            let place = "\(folder)/\(shape.rawValue)"
            do {
                try FileManager.default.createDirectory(
                    atPath: place, withIntermediateDirectories: true)
            } catch {
                throw FileError("create", place)
            }
            for index in 0..<count {
                let picture = shape.image(seed: seed &* 1_000_003 &+ UInt64(index), size: size)
                let name = String(index)
                let padding = String(repeating: "0", count: max(0, 4 - name.count))
                try picture.writePNG(to: "\(place)/\(padding)\(name).png")
            }
        }
        Terminal.answer(folder)
    }
}
