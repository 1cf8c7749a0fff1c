// Which names a typing error is not far from: what follows "did you mean".

/// The `names` that are near `wanted`, the nearest first, at most three.
///
/// A name counts as near by itself or by its last part (`resnet50` for `torchvision/resnet50`), up
/// to 2 typing errors or a quarter of the letters.
public func suggestions(for wanted: String, among names: [String]) -> [String] {
    let wanted = wanted.lowercased()
    var seen: Set<String> = []
    let near = names.filter { seen.insert($0).inserted }.compactMap {
        name -> (name: String, distance: Int)? in
        let base = name.split(separator: "/").last.map(String.init) ?? name
        let nearest = min(
            distance(wanted, name.lowercased()), distance(wanted, base.lowercased()))
        return nearest <= max(2, wanted.utf8.count / 4) ? (name, nearest) : nil
    }
    return near.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.prefix(3).map(\.name)
}

/// Levenshtein's distance of the first 64 bytes of `a` to `b`.
private func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.utf8.prefix(64)), Array(b.utf8))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (x == y ? 0 : 1))
            diagonal = row[j + 1]
            row[j + 1] = next
        }
    }
    return row[b.count]
}
