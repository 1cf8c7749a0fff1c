// In which blocks a data set is decoded: whole chunks, and little memory at a time.

import GraftTensors

/// The blocks of a data set, in the order in which a parser hands them over: a box of each axis,
/// none larger than a ``Spool`` keeps in memory. Each chunk is in one block, so that it is decoded
/// once; one that is larger by itself is cut.
struct HDF5Blocks: Sequence {
    private let shape: Shape
    /// The extents of each block but those at an edge.
    private let extents: [Int]

    /// The blocks of `dataset`, whose shape was checked and is not empty.
    init(_ dataset: HDF5Dataset, limit: Int = Spool.threshold) {
        let shape = dataset.shape
        self.shape = shape
        let width = dataset.dtype.byteCount
        guard shape.count * width > limit else {
            extents = shape.dimensions
            return
        }
        var extents = shape.dimensions.indices.map { axis in
            Swift.min(dataset.chunk?[axis] ?? 1, shape[axis])
        }
        var byteCount = extents.reduce(width, *)
        for axis in extents.indices where byteCount > limit {
            byteCount /= extents[axis]
            extents[axis] = Swift.max(1, Swift.min(extents[axis], limit / byteCount))
            byteCount *= extents[axis]
        }
        // More chunks side by side, the innermost axis first: then long runs of bytes lie together.
        for axis in extents.indices.reversed() {
            byteCount /= extents[axis]
            let chunk = extents[axis]
            extents[axis] = Swift.min(
                shape[axis], chunk * Swift.max(1, limit / (byteCount * chunk)))
            byteCount *= extents[axis]
            guard extents[axis] == shape[axis] else { break }
        }
        self.extents = extents
    }

    func makeIterator() -> AnyIterator<[Range<Int>]> {
        var start: [Int]? = [Int](repeating: 0, count: shape.rank)
        return AnyIterator {
            guard var place = start else { return nil }
            let block = place.indices.map { axis in
                place[axis]..<Swift.min(place[axis] + extents[axis], shape[axis])
            }
            start = nil
            for axis in place.indices.reversed() {
                place[axis] = block[axis].upperBound
                if place[axis] < shape[axis] {
                    start = place
                    break
                }
                place[axis] = 0
            }
            return block
        }
    }
}
