// Keeps a pulling mirror's cache below a size: the commits that were not used for longest are removed.

import Dispatch
import GraftCache
import Synchronization

/// Removes commits after transfers, one run at a time.
final class Eviction: Sendable {
    private let limit: Int
    private let cache: Cache
    private let scanner: HubScanner
    private let isHosted: @Sendable (HubName) -> Bool
    private let queue = DispatchQueue(label: "graft.mirror.eviction")
    private let isWaiting = Mutex(false)

    init(
        limit: Int, cache: Cache, scanner: HubScanner,
        isHosted: @escaping @Sendable (HubName) -> Bool
    ) {
        self.limit = limit
        self.cache = cache
        self.scanner = scanner
        self.isHosted = isHosted
    }

    /// Removes what is too much, on a thread of its own.
    func run() {
        let isFirst = isWaiting.withLock { waiting in
            defer { waiting = true }
            return !waiting
        }
        guard isFirst else { return }
        queue.async { [self] in
            isWaiting.withLock { $0 = false }
            removeExcess()
        }
    }

    private func removeExcess() {
        let inventory = Inventory(cache: cache, hub: scanner)
        let items = inventory.items.filter { $0.commit != nil }
        var total = inventory.repositories.flatMap(\.files).map(\.byteCount).clampedSum
        let candidates = items.filter { item in
            !item.isPinned && !(Self.name(of: item).map(isHosted) ?? true)
        }.sorted { ($0.used, $0.reference) < ($1.used, $1.reference) }
        for item in candidates where total > limit {
            // Somebody fetches into it: it is used, and the next run looks again.
            guard let freed = try? Removal([item], of: inventory).execute() else { continue }
            total -= freed
        }
    }

    private static func name(of item: CacheItem) -> HubName? {
        let parts = item.path.pathParts
        return parts.count >= 3 ? HubName(folderName: parts[parts.count - 3]) : nil
    }
}
