// What is wrong with a set of photos before anything is learned from it.

public import GraftImages
import GraftTensors

/// The findings about a set of labelled photos.
public struct DataCheck: Sendable, Encodable {
    /// A photo that cannot be read.
    public struct Unreadable: Sendable, Encodable {
        /// Where it is.
        public var path: String
        /// Why.
        public var reason: String
    }

    /// Photos of the same bytes, or that look alike.
    public struct Group: Sendable, Encodable {
        /// Where they are.
        public var paths: [String]
        /// Whether they are of different classes: one label must be wrong.
        public var acrossClasses: Bool
        /// Whether some are for learning and some for validation: scores will flatter.
        public var acrossSides: Bool
    }

    /// The number of photos that were looked at.
    public var photos = 0
    /// The number of photos of each class, by name.
    public var counts: [String: Int] = [:]
    /// The photos that cannot be read.
    public var unreadable: [Unreadable] = []
    /// Photos of the same bytes.
    public var duplicates: [Group] = []
    /// Photos of other bytes that look the same.
    public var lookalikes: [Group] = []
    /// The photos that are smaller than 32 pixels on a side.
    public var tiny: [String] = []
    /// Classes with fewer than 5 photos.
    public var small: [String] = []

    /// Whether anything at all was found.
    public var isClean: Bool {
        unreadable.isEmpty && duplicates.isEmpty && lookalikes.isEmpty && tiny.isEmpty
            && small.isEmpty
    }

    /// Looks at every photo of `folder` and, on the other side, of `validation`.
    public init(
        _ folder: PhotoFolder, validation: PhotoFolder? = nil,
        progress: (Int, Int) -> Void = { _, _ in }
    ) {
        struct Seen {
            let path: String
            let label: String
            let side: Int
        }
        // Numbers are no classes.
        if folder.labelling != .values { for name in folder.classes { counts[name] = 0 } }
        var byBytes: [String: [Seen]] = [:]
        var byLook: [[UInt64]: [(seen: Seen, name: String)]] = [:]
        let sides = [folder] + (validation.map { [$0] } ?? [])
        let total = sides.reduce(0) { $0 + $1.items.count }
        for (side, photos) in sides.enumerated() {
            let items = photos.items
            // Several threads look ahead; what is kept of an image is a few numbers.
            let looks = Prefetch(count: items.count) { at in Result { try items[at].look } }
            for item in items {
                guard let look = looks.next() else { break }
                self.photos += 1
                progress(self.photos, total)
                let label = photos.label(of: item)
                for name in photos.classNames(of: item) { counts[name, default: 0] += 1 }
                do {
                    let look = try look.get()
                    let seen = Seen(path: item.place, label: label, side: side)
                    byBytes[look.name, default: []].append(seen)
                    byLook[look.pixels, default: []].append((seen, look.name))
                    if look.shorterSide < 32 {
                        tiny.append(item.box == nil ? item.place : item.relativePath)
                    }
                } catch let error as any Diagnostic {
                    unreadable.append(Unreadable(path: item.place, reason: error.message))
                } catch {
                    unreadable.append(Unreadable(path: item.place, reason: "\(error)"))
                }
            }
        }
        func group(_ seen: [Seen]) -> Group {
            Group(
                paths: seen.map(\.path).sorted(), acrossClasses: Set(seen.map(\.label)).count > 1,
                acrossSides: Set(seen.map(\.side)).count > 1)
        }
        func sorted(_ groups: [Group]) -> [Group] { groups.sorted { $0.paths[0] < $1.paths[0] } }
        duplicates = sorted(byBytes.values.filter { $0.count > 1 }.map(group))
        lookalikes = sorted(
            byLook.values.filter { Set($0.map(\.name)).count > 1 }.map { group($0.map(\.seen)) })
        small = counts.filter { $0.value < 5 }.map(\.key).sorted()
    }
}

extension PhotoFolder {
    /// The classes that an item is of: one, each of its labels, or none of a set of numbers.
    fileprivate func classNames(of item: Item) -> [String] {
        switch labelling {
        case .oneClass: [classes[item.classIndex]]
        case .labels:
            classes.indices.filter { item.targets[$0] > 0 }.map { classes[$0] }
        case .values: []
        }
    }
}

extension PhotoFolder.Item {
    /// The digest and the look of an image.
    fileprivate struct Look: Sendable {
        let name: String
        let pixels: [UInt64]
        let shorterSide: Int
    }

    /// Enough of an image for its hash, and more than is tiny.
    private static let coveredSide = 256

    /// Decodes the image to its end, large ones at a fraction of their size.
    fileprivate var look: Look {
        get throws {
            try withBytes { bytes in
                let image = try open(bytes, covering: Self.coveredSide)
                return Look(
                    name: name(of: bytes).hexadecimal, pixels: image.look,
                    shorterSide: min(image.width, image.height))
            }
        }
    }

    /// The file, or the name of what is a part of one.
    fileprivate var place: String {
        range == nil && embedded == nil ? path : relativePath
    }
}

extension Image {
    /// The hash and, coarsely, the mean colour: flat pictures have hashes of no meaning.
    fileprivate var look: [UInt64] {
        let mean = resized(width: 1, height: 1, .bilinear)[0, 0]
        return [differenceHash] + [mean.red, mean.green, mean.blue].map { UInt64($0 / 32) }
    }

    /// 64 bits of whether each of 9 × 8 grey cells is darker than the one to its right: equal for
    /// copies in another size or quality.
    public var differenceHash: UInt64 {
        let small = resized(width: 9, height: 8, .bilinear)
        func grey(_ x: Int, _ y: Int) -> Int {
            let color = small[x, y]
            return 299 * Int(color.red) + 587 * Int(color.green) + 114 * Int(color.blue)
        }
        var hash: UInt64 = 0
        for y in 0..<8 {
            for x in 0..<8 { hash = hash << 1 | (grey(x, y) < grey(x + 1, y) ? 1 : 0) }
        }
        return hash
    }
}
