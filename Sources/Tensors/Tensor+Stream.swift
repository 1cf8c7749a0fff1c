// The bytes of a tensor in pieces, so that a file of any size is written from a little memory.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Pieces are about this long, and hold whole elements.
private let pieceByteCount = 8 << 20

extension Tensor {
    /// Hands over the bytes piece by piece, in order; a piece that was read from a mapped file is
    /// let go of before the next.
    public func stream(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try storage.withBytes { bytes in
            var start = byteOffset
            let end = byteOffset + byteCount
            while start < end {
                let next = min(end, start + pieceByteCount)
                try body(UnsafeRawBufferPointer(rebasing: bytes[start..<next]))
                storage.forget(start..<next)
                start = next
            }
        }
    }

    /// The bytes of `permuted(axes)`, made in blocks of outermost rows.
    func streamPermuted(_ axes: [Int], _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard axes != Array(0..<shape.rank), byteCount > 2 * blockByteCount else {
            return try permuted(axes).stream(body)
        }
        let target = shape.permuted(axes)
        let rows = target[0]
        let row = byteCount / max(rows, 1)
        let step = max(1, blockByteCount / max(row, 1))
        var first = 0
        while first < rows {
            let count = min(step, rows - first)
            try permuted(axes, rows: first..<(first + count)).stream(body)
            storage.forget(byteOffset..<(byteOffset + byteCount))
            first += count
        }
    }

    private var blockByteCount: Int { 64 << 20 }

    /// Copies the bytes to a file within the kernel, where they lie in a file. False if they do not,
    /// or if the kernel cannot.
    func sendFile(to descriptor: Int32) -> Bool {
        guard let path = storage.path, byteCount > 1 << 16 else { return false }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        // The mapped file may have been replaced under its name: then this is another one.
        var status = stat()
        guard fstat(file, &status) == 0, Int(status.st_size) == storage.byteCount,
            UInt64(status.st_ino) == storage.inode
        else { return false }
        var offset = off_t(byteOffset)
        let end = off_t(byteOffset + byteCount)
        while offset < end {
            let count = sendfile(descriptor, file, &offset, Int(min(end - offset, 1 << 30)))
            if count < 0, errno == EINTR { continue }
            // Nothing was written yet, or the write that follows reports the error.
            guard count > 0 else { return false }
        }
        return true
    }
}

extension LazyTensor {
    /// Hands over the bytes piece by piece, in order, with little memory whatever the size.
    public func stream(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        if let pieces { return try pieces(body) }
        try load().stream(body)
    }
}

extension AtomicFile {
    /// Appends the numbers of a tensor, in the kernel where they lie in a file as they are.
    ///
    /// - Throws: ``TensorError/notAsAnnounced`` if the tensor is not what it said it would be.
    public func write(_ name: String, _ tensor: LazyTensor) throws {
        if tensor.pieces == nil {
            let loaded = try tensor.load()
            guard loaded.dtype == tensor.dtype, loaded.shape == tensor.shape else {
                throw TensorError.notAsAnnounced(name)
            }
            let start = lseek(descriptor, 0, SEEK_CUR)
            if loaded.sendFile(to: descriptor) { return }
            // What half a copy may have left is written over.
            guard lseek(descriptor, start, SEEK_SET) == start else {
                throw FileError("write", path)
            }
            return try loaded.stream { try write($0) }
        }
        var written = 0
        try tensor.stream { piece in
            written += piece.count
            try write(piece)
        }
        guard written == tensor.byteCount else { throw TensorError.notAsAnnounced(name) }
    }
}

/// A tensor that cannot be used as asked.
public enum TensorError: Diagnostic, Equatable {
    /// Its numbers are not of the type and shape under which it was listed.
    case notAsAnnounced(String)

    /// What happened.
    public var message: String {
        switch self {
        case .notAsAnnounced(let name):
            "the numbers of `\(name)` are not of the type and shape under which it was listed"
        }
    }
}
