// The images of a command line: files, folders, patterns, archives, URLs, videos, lists and stdin.

import ArgumentParser
import Glibc
import Graft
import GraftFormats
import GraftHub
import GraftImages
import GraftTensors
import GraftTraining

struct InputSettings: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "Images, folders of images, quoted patterns, archives, URLs, videos, or - for stdin.",
            discussion: """
                Folders are searched with the folders in them. Videos and cameras (/dev/video0) are \
                decoded by ffmpeg, where it is installed.
                """)) var images: [String] = []
    @Option(help: "File with the path of an image on each line, or - for stdin.")
    var filesFrom: String?
    @Option(
        help: "Time between the frames of a video, for example 500ms, 1s or 2min (default: 1s).")
    var every: Interval?

    func validate() throws {
        guard !images.isEmpty || filesFrom != nil else {
            throw ValidationError("name images, or a list of them with --files-from")
        }
        let fromInput = images.count { $0 == "-" } + (filesFrom == "-" ? 1 : 0)
        guard fromInput <= 1 else {
            throw ValidationError("standard input can be read only once")
        }
    }

    /// Finds the images; what cannot be had is named when its turn comes.
    func inputs() async throws -> [ImageInput] {
        DataArchive.removeAbandoned()
        var inputs: [ImageInput] = []
        for name in images { inputs += try await found(name) }
        if let filesFrom {
            let paths = try listed(filesFrom)
            guard !paths.isEmpty else { throw InputError.emptyList(filesFrom) }
            inputs += paths.map { ImageInput(path: $0) }
        }
        if every != nil, !inputs.contains(where: \.isVideo) {
            throw ValidationError("--every is for videos, and none is among the images")
        }
        return inputs
    }

    private func found(_ name: String) async throws -> [ImageInput] {
        if name == "-" { return [try standardInput()] }
        if name.hasPrefix("https://") || name.hasPrefix("http://") {
            do {
                let file = try await Hub().fetch(name, progress: Progress.fetching(name)).path
                return [
                    ImageInput(
                        name,
                        .item(PhotoFolder.Item(path: file, relativePath: name, classIndex: 0)))
                ]
            } catch let error as any Diagnostic {
                return [ImageInput(name, .missing(error))]
            }
        }
        if PhotoFolder.isFolder(name) {
            let listing = try ImageListing(name)
            guard !listing.paths.isEmpty else {
                throw InputError.noImages(
                    name, others: listing.leftOut.isEmpty ? "" : "\(listing.leftOut)")
            }
            if !listing.leftOut.isEmpty {
                Terminal.say("warning: left out \(listing.leftOut.remark(of: name))")
            }
            if listing.links > 0 {
                Terminal.say(
                    "warning: left out \(listing.links) \(listing.links == 1 ? "link" : "links") of "
                        + "`\(name)` to folders or to nothing")
            }
            return listing.paths.map { ImageInput(path: $0) }
        }
        guard access(name, F_OK) == 0 else {
            guard name.contains(where: { "*?[".contains($0) }) else {
                return [ImageInput(path: name)]
            }
            let matches = Self.matches(name)
            guard !matches.isEmpty else { throw InputError.nothingMatches(name) }
            var inputs: [ImageInput] = []
            for match in matches { inputs += try await found(match) }
            return inputs
        }
        if name.hasPrefix("/dev/video") { return [ImageInput(name, .video)] }
        switch ContentKind.orUnknown(name) {
        case .video: return [ImageInput(name, .video)]
        case .archive: return try archived(name)
        default: return [ImageInput(path: name)]
        }
    }

    /// The images of an archive: those of a .tar are read where they are, others are unpacked first.
    private func archived(_ path: String) throws -> [ImageInput] {
        guard try DataArchive.isTar(path) else { return try unpacked(path) }
        let images = try TarImages(path)
        let links = try TarArchive.linkCount(path)
        if links > 0 {
            Terminal.say(
                "warning: left out \(links) \(links == 1 ? "link" : "links") in `\(path)`: unpack it to "
                    + "follow them")
        }
        guard !images.members.isEmpty else {
            throw InputError.noImages(
                path, others: images.leftOut.isEmpty ? "" : "\(images.leftOut)")
        }
        if !images.leftOut.isEmpty {
            Terminal.say("warning: left out \(images.leftOut.remark(of: path))")
        }
        return images.members.map { member in
            var item = PhotoFolder.Item(path: path, relativePath: member.name, classIndex: 0)
            item.range = member.range
            return ImageInput("\(path)/\(member.name)", .item(item))
        }
    }

    private func unpacked(_ path: String) throws -> [ImageInput] {
        guard DataArchive.matches(path) else { throw InputError.archive(path) }
        let folder = try DataArchive.folder(of: path)
        let listing = try ImageListing(folder)
        guard !listing.paths.isEmpty else {
            throw InputError.noImages(
                path, others: listing.leftOut.isEmpty ? "" : "\(listing.leftOut)")
        }
        if !listing.leftOut.isEmpty {
            Terminal.say("warning: left out \(listing.leftOut.remark(of: path))")
        }
        return listing.paths.map { file in
            let name = String(file.dropFirst(folder.count + 1))
            return ImageInput(
                "\(path)/\(name)",
                .unpacked(PhotoFolder.Item(path: file, relativePath: name, classIndex: 0)))
        }
    }

    /// The files that fit a pattern, in the order of their names.
    private static func matches(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_BRACE | GLOB_TILDE, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { index in
            found.gl_pathv[index].map { String(cString: $0) }
        }
    }

    /// An image on stdin is at most as large as this.
    private static let inputLimit = 1 << 30

    private func standardInput() throws -> ImageInput {
        let bytes = try Self.read(STDIN_FILENO, "standard input", limit: Self.inputLimit)
        guard !bytes.isEmpty else { throw InputError.emptyInput }
        return ImageInput("-", .bytes(bytes))
    }

    /// The lines of a list; of one with zero bytes, as `find -print0` writes it, what is between them.
    private func listed(_ path: String) throws -> [String] {
        let bytes: [UInt8]
        if path == "-" {
            bytes = try Self.read(STDIN_FILENO, "standard input", limit: Self.inputLimit)
        } else {
            bytes = try Storage(mapping: path).withBytes { Array($0) }
        }
        let separator: UInt8 = bytes.contains(0) ? 0 : 10
        return bytes.split(separator: separator).compactMap { line in
            var line = line
            if separator == 10, line.last == 13 { line.removeLast() }
            return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
        }
    }

    private static func read(_ descriptor: Int32, _ name: String, limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError("read", name) }
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= limit else { throw InputError.longInput(limit: limit) }
        }
    }
}

extension ImageInput {
    var isVideo: Bool { if case .video = place { true } else { false } }
}

/// A time such as `500ms`, `1s`, `2min` or `1h`; a bare number is seconds.
struct Interval: ExpressibleByArgument {
    let milliseconds: Int

    init(milliseconds: Int) { self.milliseconds = milliseconds }

    init?(argument: String) {
        let units: [(String, Double)] = [
            ("ms", 1), ("min", 60_000), ("s", 1000), ("h", 3_600_000), ("", 1000),
        ]
        for (unit, factor) in units where argument.hasSuffix(unit) {
            guard let number = Double(argument.dropLast(unit.count)), number.isFinite,
                number * factor >= 1, number * factor <= 1e9
            else { return nil }
            milliseconds = Int(number * factor)
            return
        }
        return nil
    }
}
