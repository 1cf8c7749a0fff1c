// The numbers that the learning part sees of each photo, in memory as far as they fit.

import GraftImages
import GraftTensors

/// Photos as inputs of the learning part: values at a cut, or preprocessed pixels.
struct Samples {
    /// The class of each photo.
    let labels: [Int]
    /// Where each photo is.
    let paths: [String]
    /// The digest of each photo's bytes.
    let digests: [String]
    /// The number of views of a photo that are kept.
    let views: Int
    /// Whether every epoch makes views of its own.
    let isFresh: Bool
    /// The number of floats of one.
    let count: Int
    /// What is in memory, photo by photo and view by view.
    fileprivate var held: [[Float]?]
    /// Gets what is not.
    fileprivate let fetch: (_ photo: Int, _ view: Int) throws -> [Float]

    /// A photo's numbers.
    func values(_ photo: Int, view: Int) throws -> [Float] {
        guard view < views else { return try fetch(photo, view) }
        return try held[photo * views + view] ?? fetch(photo, view)
    }

    /// Copies a photo's numbers to a row of a batch.
    func fill(_ photo: Int, view: Int, _ target: UnsafeMutableBufferPointer<Float>) throws {
        let values = try values(photo, view: view)
        _ = target.update(fromContentsOf: values)
    }
}

/// Reads photos and runs the frozen part on those that the cache does not know.
struct SampleReader {
    /// What prepares photos.
    let preprocessing: Preprocessing
    /// What is learned from besides the photos themselves.
    var views: Views
    /// The kept values and what computes them, if a part is frozen.
    let frozen: (cache: FeatureCache, run: (Tensor) throws -> Tensor, batch: Int)?
    /// Bytes of memory for values; the rest is read again when needed.
    var budget = 1 << 30
    /// Hears of photos that cannot be read.
    let skip: (PhotoFolder.Item, String) -> Void
    /// Hears of each photo that is done, and whether the cache had it.
    let progress: (_ known: Bool) -> Void

    /// The readable ones of `items` as samples.
    mutating func read(_ items: [PhotoFolder.Item]) throws -> Samples {
        guard let frozen else { return try pixels(items) }
        let tags = try (0..<views.count).map { try views.tag($0) }
        var names: [String] = []
        var labels: [Int] = []
        var paths: [String] = []
        var held: [[Float]?] = []
        var waiting: [(slot: Int, name: String, view: String, image: Image)] = []

        func keep(_ values: [Float], at slot: Int) {
            guard budget >= values.count * 4 else { return }
            budget -= values.count * 4
            held[slot] = values
        }
        func compute() throws {
            guard !waiting.isEmpty else { return }
            var shape = preprocessing.shape
            shape[0] = frozen.batch
            let size = shape.count / frozen.batch
            let input = Tensor(shape: shape) { target in
                for (row, entry) in waiting.enumerated() {
                    preprocessing.write(
                        entry.image,
                        into: .init(rebasing: target[(row * size)..<((row + 1) * size)]))
                }
            }
            let output = try frozen.run(input)
            let count = frozen.cache.count
            try output.withFloats { floats in
                for (row, entry) in waiting.enumerated() {
                    let values = UnsafeBufferPointer(
                        rebasing: floats[(row * count)..<((row + 1) * count)])
                    try frozen.cache.write(values, entry.name, view: entry.view)
                    keep(Array(values), at: entry.slot)
                }
            }
            waiting.removeAll(keepingCapacity: true)
        }

        for item in items {
            let file: Storage
            let name: String
            var image: Image?
            var values: [[Float]?] = []
            do {
                file = try Storage(mapping: item.path)
                name = file.withBytes { FeatureCache.name(of: $0) }
                values = tags.map { frozen.cache.read(name, view: $0) }
                if values.contains(where: { $0 == nil }) {
                    image = try Image.decode(path: item.path)
                }
            } catch let error as any Diagnostic {
                skip(item, error.message)
                continue
            }
            names.append(name)
            labels.append(item.classIndex)
            paths.append(item.path)
            for (view, tag) in tags.enumerated() {
                held.append(nil)
                if let value = values[view] {
                    keep(value, at: held.count - 1)
                } else if let image {
                    let seen = views.make(image, name: name, view: view, seeded: false)
                    waiting.append((held.count - 1, name, tag, seen))
                    if waiting.count == frozen.batch { try compute() }
                }
            }
            progress(image == nil)
        }
        try compute()
        let (cache, known) = (frozen.cache, names)
        return Samples(
            labels: labels, paths: paths, digests: names, views: tags.count, isFresh: false,
            count: cache.count, held: held
        ) {
            photo, view in
            guard let values = cache.read(known[photo], view: tags[view]) else {
                throw FileError("read", cache.path(known[photo], view: tags[view]), code: 5)
            }
            return values
        }
    }

    /// Pixels: the photos themselves are kept as far as they fit, changed ones are made anew.
    private mutating func pixels(_ items: [PhotoFolder.Item]) throws -> Samples {
        let (preprocessing, views) = (preprocessing, views)
        let size = preprocessing.shape.count
        let isFresh = !views.augmentation.isNothing
        let kept = isFresh ? 1 : views.count
        func values(_ item: PhotoFolder.Item, _ view: Int) throws -> [Float] {
            let image = try Image.decode(path: item.path)
            let seen = views.make(image, name: item.relativePath, view: view, seeded: true)
            return [Float](unsafeUninitializedCapacity: size) { target, initialized in
                target.initialize(repeating: 0)
                preprocessing.write(seen, into: target)
                initialized = size
            }
        }
        var readable: [PhotoFolder.Item] = []
        var digests: [String] = []
        var held: [[Float]?] = []
        for item in items {
            do {
                for view in 0..<kept {
                    let value = try values(item, view)
                    let fits = budget >= size * 4
                    if fits { budget -= size * 4 }
                    held.append(fits ? value : nil)
                }
                digests.append(
                    try Storage(mapping: item.path).withBytes { FeatureCache.name(of: $0) })
            } catch let error as any Diagnostic {
                held.removeLast(held.count - readable.count * kept)
                skip(item, error.message)
                continue
            }
            readable.append(item)
            progress(false)
        }
        let photos = readable
        return Samples(
            labels: photos.map(\.classIndex), paths: photos.map(\.path), digests: digests,
            views: kept, isFresh: isFresh, count: size, held: held
        ) { photo, view in try values(photos[photo], view) }
    }
}
