// Photos in a tar archive, read where they lie: nothing is unpacked.

import GraftFormats
import GraftImages
import GraftTensors

extension PhotoFolder {
    /// The photos of a `.tar`: in folders named by class (`class/photo.jpg`), or in pairs of a photo
    /// and the text of its class (`0001.jpg`, `0001.cls`), as WebDataset has them.
    static func archive(_ path: String) throws -> PhotoFolder {
        let members = try TarArchive.members(path)
        let file = try Storage(mapping: path)
        var classes: [String: String] = [:]
        for member in members where member.name.hasSuffix(".cls") {
            guard member.range.count <= 256 else { continue }
            classes[String(member.name.dropLast(4))] = file.withBytes {
                String(
                    decoding: $0[member.range.clamped(to: 0..<$0.count)], as: UTF8.self)[...]
                    .trimmed
            }
        }
        let images = try TarImages(path) { !$0.hasSuffix(".cls") }
        var found: [(label: String, member: TarArchive.Member)] = []
        for member in images.members {
            let stem = member.name.split(separator: ".", omittingEmptySubsequences: false)
                .dropLast()
                .joined(separator: ".")
            let folders = member.name.split(separator: "/").dropLast()
            guard let label = classes[stem] ?? folders.last.map(String.init) else {
                throw PhotoFolderError.unlabelled(path, photo: member.name)
            }
            found.append((label, member))
        }
        let names = sortedNames(found.map(\.label))
        guard !names.isEmpty else { throw PhotoFolderError.noClasses(path, photos: 0) }
        let places = places(names)
        let items = found.map { label, member in
            var item = Item(
                path: path, relativePath: member.name, classIndex: places[label] ?? 0)
            item.range = member.range
            return item
        }
        var folder = PhotoFolder(
            path: path, classes: names,
            items: items.sorted {
                ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
            })
        if !images.leftOut.isEmpty { folder.remarks = [images.leftOut.remark(of: path)] }
        return folder
    }
}
