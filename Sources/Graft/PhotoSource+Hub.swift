// Labelled photos of the Hub: a data set in image-folder form, fetched and then read like a folder.

internal import FoundationEssentials
internal import GraftCache
public import GraftHub
internal import GraftTraining

extension Models {
    /// Where labelled photos lie: `path` itself, or of `hf://datasets/organisation/name[@revision]`
    /// the folder of the verified files in the cache.
    ///
    /// Its photos are in folders by class, maybe below `train` and `test`, or listed in a
    /// `metadata.csv` or `metadata.jsonl`; maybe all of it below `data`. Where there are none, its Parquet
    /// files are fetched.
    ///
    /// - Throws: what Hub throws, and ``ModelError`` for a data set without photos in files.
    public static func photos(
        at path: String, offline: Bool = false,
        progress: (@Sendable (FetchProgress) -> Void)? = nil
    ) async throws -> String {
        guard path.hasPrefix("hf://") else { return path }
        var options = FetchOptions()
        let kinds = ["datasets/", "models/", "spaces/", "kernels/"]
        if !kinds.contains(where: path.dropFirst(5).hasPrefix) { options.kind = .dataset }
        options.exclude = ["*.parquet", "*.arrow", "*.zip", "*.tar.gz"]
        let fetched = try await Hub(offline: offline, options: options)
            .fetchRepository(path, progress: progress)
        var folder = fetched.path
        // A part of the repository lies below its path there.
        if let wanted = path.dropFirst(5).split(separator: "@").last, path.hasSuffix("/") {
            let parts = wanted.split(separator: "/")
            for count in stride(from: parts.count, to: 0, by: -1) {
                let inner = folder + "/" + parts.suffix(count).joined(separator: "/")
                if isFolder(inner) {
                    folder = inner
                    break
                }
            }
        }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let folders = names.filter { !$0.hasPrefix(".") && isFolder(folder + "/" + $0) }
        let isListed = names.contains { $0.hasPrefix("metadata.") }
        if !isListed, folders == ["data"] { folder += "/data" }
        guard isListed || !folders.isEmpty else {
            options.exclude.removeAll { $0 == "*.parquet" }
            let whole = try await Hub(offline: offline, options: options)
                .fetchRepository(path, progress: progress)
            if PhotoFolder.hasParquet(whole.path) { return whole.path }
            throw ModelError.unusable(
                path, reason: "this data set has no photos in folders",
                hint: "data sets in image-folder form and in Parquet can be learned from")
        }
        return folder
    }

    private static func isFolder(_ path: String) -> Bool {
        var result = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &result) && result
    }
}
