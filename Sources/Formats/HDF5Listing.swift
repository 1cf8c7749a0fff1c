// What libhdf5 says is in a file, and the checks that make tensors of it.

import GraftTensors

/// A data set: its type, its shape, its first byte in the HDF5 file if it lies there dense, and the
/// extents of its chunks if it has some.
struct HDF5Dataset: Sendable, Codable {
    let path: String
    let dtype: DType
    let shape: Shape
    let offset: Int?
    let chunk: Shape?

    var byteCount: Int { shape.count * dtype.byteCount }

    /// The bytes of a block of it.
    func byteCount(_ block: [Range<Int>]) -> Int {
        block.reduce(dtype.byteCount) { $0 * $1.count }
    }
}

/// The tensors of a file by name, in order. It may come from a process that a file has subverted.
struct HDF5Listing: Sendable, Codable {
    struct Entry: Sendable, Codable {
        let name: String
        let dataset: HDF5Dataset
    }
    var metadata: [String: String] = [:]
    var entries: [Entry] = []
    /// While a file is walked: the names so far, the groups by address, and how many have two names.
    var names: Set<String> = []
    var groups: Set<UInt64> = []
    var aliases = 0

    private enum CodingKeys: CodingKey { case metadata, entries }

    /// The tensors over `range` of `storage`, every claim checked; `load` decodes those that do not
    /// lie in place.
    func state(
        _ storage: Storage, _ range: Range<Int>, _ source: Source,
        load: @escaping @Sendable (Int) throws -> Tensor
    ) throws -> StateDict {
        var state = StateDict(metadata: metadata, axes: .keras)
        for (index, entry) in entries.enumerated() {
            let (name, dtype, shape) = (entry.name, entry.dataset.dtype, entry.dataset.shape)
            guard state[name] == nil else {
                throw source.malformed(.hdf5(.duplicate(weight: name)))
            }
            guard let byteCount = shape.checkedByteCount(dtype), byteCount / 1000 <= range.count
            else {
                throw source.malformed(.hdf5(.tooLarge(entry.dataset.path, shape)))
            }
            guard byteCount > 0 else {
                let empty = Tensor(dtype, shape, storage: Storage(byteCount: 0) { _ in })
                state[name] = LazyTensor(empty)
                continue
            }
            if let chunk = entry.dataset.chunk,
                chunk.rank != shape.rank || chunk.dimensions.contains(where: { $0 < 1 })
            {
                throw source.malformed(
                    .hdf5(.chunkExtents(entry.dataset.path, chunk, shape)))
            }
            guard let offset = entry.dataset.offset else {
                state[name] = LazyTensor(dtype, shape) {
                    let tensor = try load(index)
                    guard tensor.dtype == dtype, tensor.shape == shape else {
                        throw source.malformed(.hdf5(.changed(name)))
                    }
                    return tensor
                }
                continue
            }
            guard offset >= 0, offset <= range.count, byteCount <= range.count - offset else {
                throw source.malformed(.hdf5(.outside(entry.dataset.path)))
            }
            let start = range.lowerBound + offset
            state[name] = LazyTensor(dtype, shape) {
                Tensor(dtype, shape, storage: storage, byteOffset: start)
            }
        }
        return state
    }
}
