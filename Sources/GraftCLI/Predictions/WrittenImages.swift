// The folder that `--write` makes: the images are linked into it under names of their own.

import FoundationEssentials
import Glibc
import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// A new folder of images and what is written about them.
final class WrittenImages {
    /// The folder.
    let path: String
    private let images: String
    private var taken: Set<String> = []
    /// The images that are there.
    private(set) var count = 0

    /// Makes `path`, which must not be there or be empty, and the folder `images` in it.
    ///
    /// - Throws: `FileError` if it cannot be made, or holds something.
    init(_ path: String, images: String) throws {
        self.path = path.hasSuffix("/") && path != "/" ? String(path.dropLast()) : path
        self.images = images
        try FileError.makingFolder(self.path)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: self.path)) ?? []
        guard names.isEmpty else { throw FileError("write annotations to", path, code: EEXIST) }
        try makeFolder(images)
    }

    /// Makes a folder in the folder.
    func makeFolder(_ name: String) throws { try FileError.makingFolder("\(path)/\(name)") }

    /// Puts an image into the folder and gives its file name, which no other image has: not even with
    /// another ending, for a text of that name may stand for each.
    func place(_ input: ImageInput) throws -> String {
        let last = input.name.split(separator: "/").last.map(String.init) ?? "image"
        let dot = last.lastIndex(of: ".")
        var ending = dot.map { String(last[$0...]) } ?? ""
        var stem = dot.map { String(last[..<$0]) } ?? last
        if stem.isEmpty || stem == "-" { stem = "image" }
        if case .frame = input.place { (stem, ending) = (last, ".png") }
        var number = 1
        while !taken.insert((stem + (number > 1 ? "-\(number)" : "")).lowercased()).inserted {
            number += 1
        }
        let name = stem + (number > 1 ? "-\(number)" : "") + ending
        try put(input, at: "\(path)/\(images)/\(name)")
        count += 1
        return name
    }

    /// Links the file where the file system can, copies its bytes elsewhere.
    private func put(_ input: ImageInput, at place: String) throws {
        switch input.place {
        case .item(let item):
            if let file = input.file, let real = realpath(file, nil) {
                defer { free(real) }
                if link(real, place) == 0 { return }
            }
            try item.withBytes { bytes in try Self.write(bytes, to: place) }
        case .unpacked(let item): try item.withBytes { bytes in try Self.write(bytes, to: place) }
        case .bytes(let bytes): try bytes.withUnsafeBytes { try Self.write($0, to: place) }
        case .frame(let image): try image.writePNG(to: place)
        case .missing(let reason): throw reason
        case .video: throw InputError.video(input.name)
        }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
        var file = try AtomicFile(replacing: path)
        try file.write(bytes)
        try file.commit(durably: false)
    }

    /// Writes a text of the folder.
    func write(_ text: String, as name: String) throws {
        try Array(text.utf8).withUnsafeBytes { try Self.write($0, to: "\(path)/\(name)") }
    }
}

/// A list of a JSON file that is written entry by entry; it appears when it is whole.
struct JSONListFile: ~Copyable {
    private var file: AtomicFile
    private var count = 0

    /// Starts a file with what stands before the list.
    init(_ path: String, start: String) throws {
        let file = try AtomicFile(replacing: path)
        try file.write(Array(start.utf8))
        self.file = file
    }

    mutating func add(_ entry: some Encodable) throws {
        try file.write(Array(((count > 0 ? ",\n" : "\n") + (try JSON.line(entry))).utf8))
        count += 1
    }

    /// Writes what stands after the list.
    mutating func finish(_ end: String) throws {
        try file.write(Array(end.utf8))
        try file.commit()
    }
}
