// A zip archive of one small file that stands behind another program's bytes.

import CZlib

/// Writes what TensorFlow Lite appends to a model: a file that is stored, not deflated.
enum StoredArchive {
    /// The archive of one file, whose first byte is byte `offset` of the file that it stands in.
    static func bytes(of content: [UInt8], named name: String, at offset: Int) -> [UInt8] {
        let checksum = content.withUnsafeBufferPointer {
            UInt32(crc32(0, $0.baseAddress, UInt32($0.count)))
        }
        let size = UInt32(content.count)
        let start = UInt32(offset)
        func little(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        // Version 2.0, no flags, stored, midnight of 1 January 1980: the same model is the same file.
        let common: [UInt8] =
            little(UInt16(20)) + little(UInt16(0)) + little(UInt16(0)) + little(UInt16(0))
            + little(UInt16(0x21)) + little(checksum) + little(size) + little(size)
            + little(UInt16(name.utf8.count)) + little(UInt16(0))
        let local = little(UInt32(0x0403_4B50)) + common + Array(name.utf8)
        let entry: [UInt8] =
            little(UInt32(0x0201_4B50)) + little(UInt16(20)) + common + little(UInt16(0))
            + little(UInt16(0)) + little(UInt16(0)) + little(UInt32(0)) + little(start)
            + Array(name.utf8)
        let directory = start + UInt32(local.count) + size
        let end: [UInt8] =
            little(UInt32(0x0605_4B50)) + little(UInt16(0)) + little(UInt16(0))
            + little(UInt16(1)) + little(UInt16(1)) + little(UInt32(entry.count))
            + little(directory) + little(UInt16(0))
        return local + content + entry + end
    }
}
