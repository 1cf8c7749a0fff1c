// Proving bytes right: SHA-256 beside reading the same memory once.

import GraftCache

func benchDigest(_ bench: Bench) throws {
    let bytes = [UInt8](repeating: 7, count: 1 << 26)
    try bytes.withUnsafeBytes { bytes in
        try bench(
            "SHA-256 of 64 MiB",
            plain: (
                "reading them once",
                { keep(bytes.bindMemory(to: UInt64.self).reduce(0, &+)) }
            ), bytes: bytes.count
        ) {
            var hasher = ContentHasher()
            hasher.update(bytes)
            keep(hasher.finalize().sha256)
        }
    }
}
