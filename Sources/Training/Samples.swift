// The numbers that the learning part sees of each photo: mapped from the cache, or pixels.

import GraftImages
import GraftTensors

/// Photos as inputs of the learning part: values at a cut, or preprocessed pixels.
struct Samples {
    /// The photos.
    let items: [PhotoFolder.Item]
    /// The digest of each photo's bytes.
    let digests: [PhotoDigest]
    /// The number of views of a photo that are kept.
    let views: Int
    /// Whether every epoch makes views of its own.
    let isFresh: Bool
    /// The number of floats of one.
    let count: Int
    /// How views are made.
    private let looks: Views
    fileprivate let source: Source

    fileprivate enum Source {
        /// Photo by photo and view by view, where the cache has it.
        case kept(FeatureCache, places: [Int])
        /// What is in memory, and what makes the rest.
        case pixels(held: [[Float]?], PixelReader)
    }

    fileprivate init(
        items: [PhotoFolder.Item], digests: [PhotoDigest], views: Int, isFresh: Bool, count: Int,
        looks: Views, source: Source
    ) {
        self.items = items
        self.digests = digests
        self.views = views
        self.isFresh = isFresh
        self.count = count
        self.looks = looks
        self.source = source
    }

    /// How a view differs from the photo.
    func change(of photo: Int, view: Int) -> ViewChange {
        let item = items[photo]
        // As the reader of the pixels names it.
        let seeded = if case .pixels = source { true } else { false }
        return looks.change(
            of: item, name: seeded ? item.relativePath : digests[photo].hexadecimal, view: view,
            seeded: seeded)
    }

    /// Copies a photo's numbers to a row of a batch.
    func fill(_ photo: Int, view: Int, _ target: UnsafeMutableBufferPointer<Float>) throws {
        switch source {
        case .kept(let cache, let places):
            cache.read(places[photo * views + view], into: target)
        case .pixels(let held, let reader):
            let known = view < views ? held[photo * views + view] : nil
            _ = target.update(
                fromContentsOf: try known ?? reader.values(items[photo], view: view))
        }
    }

    /// The first photo that a kept view has values of that are no finite numbers; nil if none has.
    func firstBroken() throws -> Int? {
        guard case .kept = source else { return nil }
        var values = [Float](repeating: 0, count: count)
        return try items.indices.first { photo in
            try (0..<views).contains { view in
                try values.withUnsafeMutableBufferPointer { try fill(photo, view: view, $0) }
                return values.contains { !$0.isFinite }
            }
        }
    }

    /// The numbers of the photos in this order, made ahead; nil where they lie ready.
    func ahead(_ order: [Int], view: Int) -> Prefetch<Result<[Float], any Error>>? {
        guard isFresh, case .pixels(_, let reader) = source else { return nil }
        let items = items
        return Prefetch(count: order.count) { at in
            Result { try reader.values(items[order[at]], view: view) }
        }
    }
}

/// Makes the preprocessed pixels of views of photos.
struct PixelReader: Sendable {
    let preprocessing: Preprocessing
    let views: Views

    func values(_ item: PhotoFolder.Item, view: Int) throws -> [Float] {
        let image = try item.open(covering: preprocessing.covering)
        return values(views.make(image, name: item.relativePath, view: view, seeded: true))
    }

    func values(_ image: Image) -> [Float] {
        let size = preprocessing.shape.count
        return [Float](unsafeUninitializedCapacity: size) { target, initialized in
            target.initialize(repeating: 0)
            preprocessing.write(image, into: target)
            initialized = size
        }
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
    /// Bytes of memory for pixels; the rest is read again when needed.
    var budget = 1 << 30
    /// Whether the size of each photo is read.
    var needsSizes = false
    /// Who else computes features of the same photos at the same time.
    var crew: any Crew = Alone()
    /// Hears of photos that cannot be read.
    let skip: (PhotoFolder.Item, String) -> Void
    /// Hears of each photo that is done, and whether the cache had it.
    let progress: (_ known: Bool) -> Void

    /// What became of a photo.
    private enum Looked: Sendable {
        case skipped(String)
        /// Its name, its size where that is wanted, and the inputs of the views that the cache does not know.
        case seen(PhotoDigest, PixelSize?, missing: [(view: Int, input: [Float])])
    }

    /// The readable ones of `items` as samples.
    mutating func read(_ items: [PhotoFolder.Item]) throws -> Samples {
        guard let frozen else { return try pixels(items) }
        let tags = try (0..<views.count).map { try views.tag($0) }
        if crew.count > 1 {
            // Each computes its part; what others could not put into this cache is made here then.
            let part = items.indices.filter { $0 % crew.count == crew.rank }.map { items[$0] }
            _ = try compute(part, tags, frozen) { _, _ in }
            try crew.barrier()
            try frozen.cache.refresh()
        }
        let (readable, names) = try compute(items, tags, frozen) { item, outcome in
            switch outcome {
            case .skipped(let reason): skip(item, reason)
            case .seen(_, _, let missing): progress(missing.isEmpty)
            }
        }
        try frozen.cache.refresh()
        var places: [Int] = []
        for (item, name) in zip(readable, names) {
            for tag in tags {
                guard let place = frozen.cache.place(name, view: tag) else {
                    throw FileError(
                        "read the features of \(item.path) in", frozen.cache.path, code: 5)
                }
                places.append(place)
            }
        }
        return Samples(
            items: readable, digests: names, views: tags.count, isFresh: false,
            count: frozen.cache.count, looks: views, source: .kept(frozen.cache, places: places))
    }

    /// Puts into the cache what it lacks; the readable photos and their names.
    private func compute(
        _ items: [PhotoFolder.Item], _ tags: [String],
        _ frozen: (cache: FeatureCache, run: (Tensor) throws -> Tensor, batch: Int),
        heard: (PhotoFolder.Item, Looked) -> Void
    ) throws -> ([PhotoFolder.Item], [PhotoDigest]) {
        let (known, reader) = (
            frozen.cache.snapshot, PixelReader(preprocessing: preprocessing, views: views)
        )
        let needsSizes = needsSizes
        let looking = Prefetch(count: items.count) { at in
            Self.look(at: items[at], tags, known, reader, needsSizes)
        }
        var readable: [PhotoFolder.Item] = []
        var names: [PhotoDigest] = []
        var waiting: [(photo: PhotoDigest, view: Int, input: [Float])] = []
        // Copies of a photo are computed once.
        var queued: Set<RecordKey> = []
        for item in items {
            try Task.checkCancellation()
            guard let outcome = looking.next() else { break }
            if case .seen(let name, let size, let missing) = outcome {
                readable.append(item.sized(size))
                names.append(name)
                for (view, input) in missing
                where queued.insert(RecordKey(photo: name, view: tags[view])).inserted {
                    waiting.append((name, view, input))
                    if waiting.count == frozen.batch { try run(&waiting, tags, frozen) }
                }
            }
            heard(item, outcome)
        }
        try run(&waiting, tags, frozen)
        return (readable, names)
    }

    private func run(
        _ waiting: inout [(photo: PhotoDigest, view: Int, input: [Float])], _ tags: [String],
        _ frozen: (cache: FeatureCache, run: (Tensor) throws -> Tensor, batch: Int)
    ) throws {
        guard !waiting.isEmpty else { return }
        var shape = preprocessing.shape
        let size = shape.count
        shape[0] = frozen.batch
        let input = Tensor(shape: shape) { target in
            for (row, entry) in waiting.enumerated() {
                _ = UnsafeMutableBufferPointer(
                    rebasing: target[(row * size)..<((row + 1) * size)]
                ).update(fromContentsOf: entry.input)
            }
        }
        let count = frozen.cache.count
        try frozen.run(input).withFloats { floats in
            try frozen.cache.append(
                waiting.enumerated().map { row, entry in
                    (
                        entry.photo, tags[entry.view],
                        UnsafeBufferPointer(rebasing: floats[(row * count)..<((row + 1) * count)])
                    )
                })
        }
        waiting.removeAll(keepingCapacity: true)
    }

    /// Runs on any thread.
    private static func look(
        at item: PhotoFolder.Item, _ tags: [String], _ known: FeatureCache.Snapshot,
        _ reader: PixelReader, _ needsSizes: Bool
    ) -> Looked {
        do {
            return try item.withBytes { bytes in
                let name = item.name(of: bytes)
                let missing = tags.indices.filter { !known.holds(name, view: tags[$0]) }
                let size = needsSizes ? try PixelSize(of: bytes, name: item.path) : nil
                guard !missing.isEmpty else { return .seen(name, size, missing: []) }
                let image = try item.open(bytes, covering: reader.preprocessing.covering)
                let inputs = missing.map { view in
                    let seen = reader.views.make(
                        image, name: name.hexadecimal, view: view, seeded: false)
                    return (view, reader.values(seen))
                }
                return .seen(name, size, missing: inputs)
            }
        } catch let error as any Diagnostic {
            return .skipped(error.message)
        } catch {
            return .skipped("\(error)")
        }
    }

    /// Pixels: the photos themselves are kept as far as they fit, changed ones are made anew.
    private mutating func pixels(_ items: [PhotoFolder.Item]) throws -> Samples {
        let reader = PixelReader(preprocessing: preprocessing, views: views)
        let size = preprocessing.shape.count
        let isFresh = !views.augmentation.isNothing
        let kept = isFresh ? 1 : views.count
        let needsSizes = needsSizes
        let looking = Prefetch(count: items.count) { at -> Looked in
            do {
                let (name, place) = try items[at].withBytes { bytes in
                    let size =
                        needsSizes ? try PixelSize(of: bytes, name: items[at].path) : nil
                    return (items[at].name(of: bytes), size)
                }
                return .seen(
                    name, place,
                    missing: try (0..<kept).map { ($0, try reader.values(items[at], view: $0)) })
            } catch let error as any Diagnostic {
                return .skipped(error.message)
            } catch {
                return .skipped("\(error)")
            }
        }
        var readable: [PhotoFolder.Item] = []
        var names: [PhotoDigest] = []
        var held: [[Float]?] = []
        for item in items {
            try Task.checkCancellation()
            switch looking.next() {
            case .seen(let name, let place, let values):
                for (_, value) in values {
                    let fits = budget >= size * 4
                    if fits { budget -= size * 4 }
                    held.append(fits ? value : nil)
                }
                readable.append(item.sized(place))
                names.append(name)
                progress(false)
            case .skipped(let reason): skip(item, reason)
            case nil: break
            }
        }
        return Samples(
            items: readable, digests: names, views: kept, isFresh: isFresh, count: size,
            looks: views, source: .pixels(held: held, reader))
    }
}
