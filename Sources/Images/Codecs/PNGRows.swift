// A large PNG by rows into a smaller image, so that memory holds a row and the result.

import CPNG

enum PNGRows {
    /// Decodes at a whole fraction of the size: the mean of each square of pixels.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, width: Int, height: Int, factor: Int, name: String
    ) throws(ImageError) -> Image {
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let rows = graft_png_open(start, bytes.count) else {
            throw .malformed(name: name, format: "PNG", reason: "there is not enough memory")
        }
        defer { graft_png_close(rows) }
        func failure() -> ImageError {
            let reason = String(cString: graft_png_text(rows))
            return reason.contains("beyond end") || reason.contains("ot enough")
                ? .truncated(name: name, format: "PNG")
                : .malformed(name: name, format: "PNG", reason: reason)
        }
        guard rows.pointee.text.0 == 0 else { throw failure() }
        guard graft_png_row_bytes(rows) == width * 3 else {
            throw .malformed(name: name, format: "PNG", reason: "its header changes")
        }
        var reducer = RowReducer(width: width, height: height, factor: factor)
        var row = [UInt8](repeating: 0, count: width * 3)
        for _ in 0..<height {
            let isRead = row.withUnsafeMutableBufferPointer { buffer in
                guard graft_png_read(rows, buffer.baseAddress) != 0 else { return false }
                reducer.add(row: UnsafeBufferPointer(buffer))
                return true
            }
            guard isRead else { throw failure() }
        }
        guard let image = reducer.image() else { throw .truncated(name: name, format: "PNG") }
        return image
    }
}
