// Images inside of other files: a range of an archive, or a value of a Parquet file, read where they are.

package import GraftFormats
package import GraftImages
import GraftTensors

/// An image that is a compressed value of a Parquet file.
package struct EmbeddedImage: Sendable, Hashable {
    /// The file, open.
    package let file: ParquetFile
    /// Where the value is in it.
    package let place: ParquetBytes

    /// An image in a file.
    package init(file: ParquetFile, place: ParquetBytes) {
        self.file = file
        self.place = place
    }

    package static func == (left: EmbeddedImage, right: EmbeddedImage) -> Bool {
        left.file.path == right.file.path && left.place == right.place
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(file.path)
        hasher.combine(place)
    }
}

extension AnnotatedImage {
    /// Whether the image is a part of another file.
    package var isPartOfFile: Bool { range != nil || embedded != nil }

    /// Lends the bytes of the image.
    package func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        if let embedded { return try embedded.file.withBytes(embedded.place, body) }
        let file = try Storage(mapping: path)
        return try file.withBytes { bytes in
            guard let range else { return try body(bytes) }
            guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
                throw ImageError.truncated(name: name, format: "image in an archive")
            }
            return try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }

    /// The image as it is shown.
    package func open(covering: Int? = nil) throws -> Image {
        try withBytes { try Image.decode($0, name: isPartOfFile ? name : path, covering: covering) }
    }
}
