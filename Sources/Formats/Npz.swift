// NumPy's .npz: a zip archive of .npy files.

import GraftSystem
public import GraftTensors
import OrderedCollections

/// Reads and writes what `numpy.savez` writes, and reads what `numpy.savez_compressed` writes.
public enum Npz {
    /// The arrays of a file, in the order of its directory.
    public static func read(_ path: String) throws -> StateDict {
        try read(Storage(mapping: path), Source(path: path, format: "npz"), .current)
    }

    static func read(_ storage: Storage, _ source: Source, _ isolation: Isolation) throws
        -> StateDict
    {
        let archive = try ZipArchive(storage, source, isolation)
        var state = StateDict()
        var refusal: FormatError?
        for member in archive.members.values {
            guard member.name.hasSuffix(".npy") else {
                state.remarks.append(.skipped(member.name, reason: "not a `.npy` file"))
                continue
            }
            let name = String(member.name.dropLast(4))
            do {
                state[name] = try array(member, archive, source)
            } catch let error as FormatError {
                // An array of something else than numbers leaves the others readable; damage not.
                guard case .unsupported(_, let content) = error else { throw error }
                refusal = refusal ?? error
                state.remarks.append(.skipped(name, reason: content.explanation))
            }
        }
        if state.tensors.isEmpty, let refusal { throw refusal }
        return state
    }

    private static func array(
        _ member: ZipArchive.Member, _ archive: ZipArchive, _ source: Source
    ) throws -> LazyTensor {
        let inner = Source(path: "\(source.path)/\(member.name)", format: "npy")
        guard member.method != 0 else {
            let (bytes, range) = try archive.content(member)
            return try Npy.read(bytes, range, inner)
        }
        // Inflated as far as its shape, and whole when it is asked for.
        let (start, range) = try archive.beginning(member, limit: 1 << 16)
        let header = try Npy.header(start, range, byteCount: member.count, inner)
        return LazyTensor.deferred(header.dtype, header.shape) {
            let (bytes, range) = try archive.content(member)
            return try Npy.read(bytes, range, inner)
        }
    }

    /// Writes a file, one tensor at a time; it appears under `path` only when complete.
    ///
    /// The arrays are stored uncompressed, so that they can be mapped. Types that NumPy lacks are
    /// widened to 32-bit floats.
    public static func write(_ state: StateDict, to path: String) throws {
        let archive = try ZipWriter(replacing: path)
        for (name, tensor) in state.tensors {
            let array = tensor.converted(to: tensor.dtype.npyDType)
            let header = Npy.header(array.dtype, array.shape)
            try archive.add(name + ".npy", byteCount: header.count + array.byteCount) { emit in
                try header.withUnsafeBytes { try emit($0) }
                try array.stream(emit)
            }
        }
        try archive.finish()
    }
}
