// Which files of a folder or an archive are images, and a count by kind of those that are not.

/// The files that a reader of images left out, counted by extension and kind.
///
/// ```swift
/// var leftOut = LeftOutFiles()
/// let images = paths.filter { leftOut.admits(path: $0) }
/// if !leftOut.isEmpty { print(leftOut) }  // 4 files left out: 3 .txt, 1 .psd
/// ```
public struct LeftOutFiles: Sendable, Hashable, CustomStringConvertible {
    /// A kind of file, and how many of it there are.
    public struct Group: Sendable, Hashable {
        /// The kind by content.
        public let kind: ContentKind
        /// The extension without the dot, in lower case; nil for names without one.
        public let fileExtension: String?
        /// The number of files.
        public fileprivate(set) var count: Int

        /// `.psd`, `.dat (PDF)` where the extension does not say the kind, `PDF without extension`.
        public var label: String {
            guard let fileExtension else {
                return kind == .unknown ? "without extension" : "\(kind.name) without extension"
            }
            let isTold = kind == .unknown || kind.extensions.contains(fileExtension)
            return isTold ? ".\(fileExtension)" : ".\(fileExtension) (\(kind.name))"
        }
    }

    private var groupsFound: [Group] = []

    /// Nothing left out.
    public init() {}

    /// The groups, the largest first.
    public var groups: [Group] {
        groupsFound.sorted { ($1.count, $0.label) < ($0.count, $1.label) }
    }

    /// The number of files left out.
    public var count: Int { groupsFound.reduce(0) { $0 + $1.count } }

    /// Whether nothing was left out.
    public var isEmpty: Bool { groupsFound.isEmpty }

    /// The count and the kinds: `4 files left out: 3 .txt, 1 .psd`.
    public var description: String {
        "\(count) file\(count == 1 ? "" : "s") left out: \(kinds)"
    }

    /// The kinds alone: `3 .txt, 1 .psd`, at most twelve of them.
    public var kinds: String {
        let groups = groups
        let named = groups.prefix(12).map { "\($0.count) \($0.label)" }
        let others = groups.dropFirst(12).reduce(0) { $0 + $1.count }
        return (named + (others > 0 ? ["\(others) of other kinds"] : [])).joined(separator: ", ")
    }

    /// What a reader of the set at `path` says of it: `3 .txt, 1 .psd in `set``, for a sentence that
    /// starts with "left out".
    public func remark(of path: String) -> String {
        "\(count) file\(count == 1 ? "" : "s") of `\(path)`: \(kinds)"
    }

    /// Counts a file that is left out.
    public mutating func add(_ kind: ContentKind, name: String) {
        add(Group(kind: kind, fileExtension: ContentKind.fileExtension(of: name), count: 1))
    }

    /// Adds the counts of another reader.
    public mutating func add(_ others: LeftOutFiles) {
        for group in others.groupsFound { add(group) }
    }

    private mutating func add(_ group: Group) {
        let same = groupsFound.firstIndex {
            $0.kind == group.kind && $0.fileExtension == group.fileExtension
        }
        if let same {
            groupsFound[same].count += group.count
        } else {
            groupsFound.append(group)
        }
    }

    /// Whether the file at `path` is an image that graft reads; any other is counted here.
    ///
    /// A file whose extension is one of ``ContentKind/readableExtensions`` is taken unopened: if it
    /// turns out to be something else, decoding says so and names it. Of other files the content
    /// decides; one that cannot be opened is taken too, so that reading it names the cause.
    public mutating func admits(path: String) -> Bool {
        if ContentKind.hasReadableExtension(path) { return true }
        guard let kind = try? ContentKind.of(path: path) else { return true }
        if kind.isReadable { return true }
        add(kind, name: path)
        return false
    }

    /// Whether bytes that lie in an archive under `name` are an image that graft reads; any others
    /// are counted here.
    public mutating func admits(name: String, bytes: UnsafeRawBufferPointer) -> Bool {
        if ContentKind.hasReadableExtension(name) { return true }
        let kind = ContentKind(sniffing: bytes, name: name)
        if kind.isReadable { return true }
        add(kind, name: name)
        return false
    }
}
