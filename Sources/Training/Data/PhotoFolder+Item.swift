// Opening a labelled photo: a file, a part of an archive, or the part of a picture in a box.

import GraftFormats
public import GraftImages
import GraftTensors

extension PhotoFolder.Item {
    /// Lends the bytes of the photo's file.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        if let embedded { return try embedded.file.withBytes(embedded.place, body) }
        let file = try Storage(mapping: path)
        return try file.withBytes { bytes in
            guard let range = range else { return try body(bytes) }
            guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
                throw ImageError.truncated(name: relativePath, format: "picture in an archive")
            }
            return try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }

    /// The photo; see ``Image/decode(path:orient:covering:limits:)``. What lies in a box is cut out
    /// of the photo as it was taken, whole.
    public func open(covering: Int? = nil) throws -> Image {
        try withBytes { try open($0, covering: covering) }
    }

    package func open(_ bytes: UnsafeRawBufferPointer, covering: Int?) throws -> Image {
        guard let box else {
            return try Image.decode(bytes, name: path, covering: covering)
        }
        guard let part = try Image.decode(bytes, name: path).cropped(box) else {
            throw ImageError.malformed(
                name: path, format: "photo",
                reason:
                    "the box \(box.left), \(box.top), \(box.right), \(box.bottom) is outside of it")
        }
        return part
    }

    /// What a run's split knows this image by.
    package func digest(of bytes: UnsafeRawBufferPointer) -> PhotoDigest { name(of: bytes) }

    /// What features of this photo are found by: its bytes, and the box if there is one.
    func name(of bytes: UnsafeRawBufferPointer) -> PhotoDigest {
        let name = FeatureCache.name(of: bytes)
        guard let box else { return name }
        let text = "\(name.hexadecimal) \(box.left) \(box.top) \(box.right) \(box.bottom)"
        return PhotoDigest(bytes: Array(text.utf8).withUnsafeBytes(RunFiles.digest))
    }
}

extension PhotoFolder {
    /// What is said of a photo, in words.
    public func label(of item: Item) -> String {
        switch labelling {
        case .oneClass: classes[item.classIndex]
        case .labels:
            classes.indices.filter { item.targets[$0] > 0 }.map { classes[$0] }
                .joined(separator: ", ")
        case .values: item.targets.map { "\($0)" }.joined(separator: ", ")
        }
    }
}
