// One image to look at, wherever it is: a file, a part of an archive, bytes from stdin, or a frame.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// An image that a command was given.
struct ImageInput: Sendable {
    /// Where an image is.
    enum Place: Sendable {
        /// A file, or a part of an archive.
        case item(PhotoFolder.Item)
        /// A file that was unpacked from an archive and is gone when the program ends.
        case unpacked(PhotoFolder.Item)
        /// In memory.
        case bytes([UInt8])
        /// A frame of a video.
        case frame(Image)
        /// Nowhere: why.
        case missing(any Diagnostic)
        /// A video: its frames are the images.
        case video
    }

    /// What answers call it: its path, `archive.tar/member.jpg`, or `video.mp4@1.5s`.
    let name: String
    let place: Place

    init(_ name: String, _ place: Place) { (self.name, self.place) = (name, place) }

    /// The image at a path.
    init(path: String) {
        self.init(
            path, .item(PhotoFolder.Item(path: path, relativePath: path, classIndex: 0)))
    }

    /// The file that holds this image and nothing else, to which a link may lead; nil of others.
    var file: String? {
        guard case .item(let item) = place, item.range == nil else { return nil }
        return item.path
    }

    /// Decodes the image, JPEG at a reduced size where `covering` says that it is enough.
    func open(covering: Int? = nil) throws -> Image {
        switch place {
        case .item(let item), .unpacked(let item): return try item.open(covering: covering)
        case .bytes(let bytes):
            return try bytes.withUnsafeBytes {
                try Image.decode($0, name: name, covering: covering)
            }
        case .frame(let image): return image
        case .missing(let reason): throw reason
        case .video: throw InputError.video(name)
        }
    }
}

/// Images that cannot be had.
enum InputError: Diagnostic, Equatable {
    /// A pattern that fits no file.
    case nothingMatches(String)
    /// A folder or an archive without images; what else is there.
    case noImages(String, others: String)
    /// A list that names no images.
    case emptyList(String)
    /// Nothing came from standard input.
    case emptyInput
    /// Standard input is longer than an image may be.
    case longInput(limit: Int)
    /// A video where frames are not looked at.
    case video(String)
    /// An archive of a kind that is not read.
    case archive(String)
    /// ffmpeg, which decodes videos, is not installed.
    case noFFmpeg(String)
    /// ffmpeg did not decode a video: what it said.
    case undecoded(String, reason: String)
    /// Some of the images could not be read.
    case skipped(Int, of: Int)

    var message: String {
        switch self {
        case .nothingMatches(let pattern): "no file matches `\(pattern)`"
        case .noImages(let path, let others):
            "expected images in `\(path)`, found none" + (others.isEmpty ? "" : " (\(others))")
        case .emptyList(let path): "expected the paths of images in `\(path)`, found none"
        case .emptyInput: "expected an image on standard input, found nothing"
        case .longInput(let limit):
            "expected an image on standard input, found more than \(readableBytes(limit))"
        case .video(let path): "`\(path)` is a video, and this command looks at images only"
        case .archive(let path): "`\(path)` is an archive of a kind that graft does not read"
        case .noFFmpeg(let path):
            "reading the video `\(path)` needs `ffmpeg`, which is not installed"
        case .undecoded(let path, let reason): "ffmpeg cannot decode `\(path)`: \(reason)"
        case .skipped(let count, let total):
            "\(count) of \(total) \(total == 1 ? "image" : "images") could not be read"
        }
    }

    var hint: String? {
        switch self {
        case .nothingMatches: "put the pattern in quotes and check the folder"
        case .emptyList: "write one path per line"
        case .emptyInput: "for example: `cat image.jpg | graft predict MODEL -`"
        case .archive: "unpack it, or pack the images as .zip or .tar"
        case .noFFmpeg:
            "install Debian's package with `apt install ffmpeg`, or name its frames as images"
        case .noImages, .longInput, .video, .undecoded, .skipped: nil
        }
    }
}
