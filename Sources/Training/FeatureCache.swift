// What the frozen part of a network made of each photo, kept on disk from run to run.

public import GraftImages
public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Values at a cut, one file per photo and view, found by content alone.
///
/// The folder is `features/<key>/`, where the key is a digest of the model's digest, the cut and the
/// preprocessing; the file is called by the digest of the photo's bytes. Changing any of them finds
/// nothing, and nothing has to be invalidated. A file holds a magic number, its count, a SHA-256
/// of its numbers, and the numbers as 32-bit floats.
public struct FeatureCache: Sendable {
    /// The folder of this model, cut and preprocessing.
    public let folder: String
    /// The number of floats of a value.
    public let count: Int
    /// Tells `graft cache gc` that the folder is in use.
    private let hold: FolderHold

    private static let magic = Array("GRAFTF1\n".utf8)
    private static let headerSize = 48

    /// The cache below `root` for values of `count` floats. The folder is made.
    public init(
        root: String, modelDigest: String, cut: String, preprocessing: Preprocessing, count: Int
    ) throws {
        let identity = [modelDigest, cut, try RunFiles.json(preprocessing), "\(count)"]
        let key = RunFiles.digest(identity.joined(separator: "\n").utf8)
        self.folder = "\(root)/features/\(key.prefix(32))"
        self.count = count
        try RunFiles.makeFolder(folder)
        hold = FolderHold(folder)
    }

    /// The name of a photo with these bytes.
    public static func name(of photo: UnsafeRawBufferPointer) -> String {
        RunFiles.hexadecimal(RunFiles.digest(photo))
    }

    /// Where the value of a view of a photo is.
    public func path(_ name: String, view: String) -> String { "\(folder)/\(name).\(view).f32" }

    /// The value of a view (`0` is the photo itself), or nil if there is none or if it is not as it was written.
    public func read(_ name: String, view: String) -> [Float]? {
        guard let file = try? Storage(mapping: path(name, view: view)) else { return nil }
        return file.withBytes { bytes in
            guard bytes.count == Self.headerSize + count * 4,
                bytes[..<8].elementsEqual(Self.magic),
                bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == UInt64(count)
            else { return nil }
            let payload = UnsafeRawBufferPointer(rebasing: bytes[Self.headerSize...])
            guard bytes[16..<Self.headerSize].elementsEqual(RunFiles.digest(payload)) else {
                return nil
            }
            return [Float](unsafeUninitializedCapacity: count) { target, initialized in
                UnsafeMutableRawBufferPointer(target).copyMemory(from: payload)
                initialized = count
            }
        }
    }

    /// Keeps a value; it appears complete or not at all.
    public func write(
        _ values: UnsafeBufferPointer<Float>, _ name: String, view: String
    )
        throws(FileError)
    {
        precondition(values.count == count)
        let payload = UnsafeRawBufferPointer(values)
        var header = Self.magic
        for byte in 0..<8 { header.append(UInt8(truncatingIfNeeded: count >> (8 * byte))) }
        header += RunFiles.digest(payload)
        let path = path(name, view: view)
        let result = header.withUnsafeBytes { header in
            Result { () throws(FileError) in try RunFiles.write([header, payload], to: path) }
        }
        try result.get()
    }
}

/// A folder that is marked as in use, with a shared `flock`, as long as this lives.
private final class FolderHold: Sendable {
    private let descriptor: Int32

    init(_ folder: String) {
        descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Where there are no locks nothing is marked: who evicts then takes what is being used.
        if descriptor >= 0 { flock(descriptor, LOCK_SH | LOCK_NB) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
