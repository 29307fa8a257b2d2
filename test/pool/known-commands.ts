/** What a pool does with a command of node-redis. */
export type Kind = 'forwarded' | 'refused' | 'isolated' | 'leased' | 'untrusted';

/** Never sent. */
export const REFUSED_METHODS = [
  'asking',
  'auth',
  'clientCaching',
  'clientNoEvict',
  'clientNoTouch',
  'clientSetName',
  'clientTracking',
  'hello',
  'readonly',
  'scriptDebug',
] as const;

/** Sent on an isolated connection only. */
export const ISOLATED_METHODS = [
  'hImportDiscard',
  'hImportDiscardAll',
  'hImportPrepare',
  'hImportSet',
  'wait',
] as const;

/** Sent on a lease of their own where they may block. */
export const LEASED_METHODS = [
  'blMove',
  'blMoveM',
  'blPop',
  'blmPop',
  'brPop',
  'brPopLPush',
  'bzPopMax',
  'bzPopMin',
  'bzmPop',
  'ts.read',
  'xRead',
  'xReadGroup',
] as const;

/** Sent on a lease of their own, whose connection is closed afterwards. */
export const UNTRUSTED_METHODS = ['clusterSetSlot'] as const;

/** Sent on a lane. */
const FORWARDED_METHODS = `
    aclCat aclDelUser aclDryRun aclGenPass aclGetUser aclList aclLoad aclLog aclLogReset aclSave aclSetUser aclUsers
    aclWhoAmI append arCount arDel arDelRange arGet arGetRange arGrep arGrepWithValues arInfo arInsert arLastItems
    arLen arMGet arMSet arNext arOp arRing arScan arSeek arSet bgRewriteAof bgSave bitCount bitField bitFieldRo bitOp
    bitPos blessClear blessGet blessScan blessSet clientGetName clientGetRedir clientId clientInfo clientKill
    clientList clientPause clientTrackingInfo clientUnblock clientUnpause clusterAddSlots clusterAddSlotsRange
    clusterBumpEpoch clusterCountFailureReports clusterCountKeysInSlot clusterDelSlots clusterDelSlotsRange
    clusterFailover clusterFlushSlots clusterForget clusterGetKeysInSlot clusterInfo clusterKeySlot clusterLinks
    clusterMeet clusterMyId clusterMyShardId clusterNodes clusterReplicas clusterReplicate clusterReset
    clusterSaveConfig clusterSetConfigEpoch clusterSlots command commandCount commandDocs
    commandGetKeys commandGetKeysAndFlags commandInfo commandList configGet configResetStat configRewrite configSet
    copy dbSize decr decrBy del delEx digest dump echo eval evalRo evalSha evalShaRo exists expire expireAt expireTime
    fCall fCallRo flushAll flushDb functionDelete functionDump functionFlush functionKill functionList
    functionListWithCode functionLoad functionRestore functionStats geoAdd geoDist geoHash geoPos geoRadius
    geoRadiusByMember geoRadiusByMemberRo geoRadiusByMemberRoWith geoRadiusByMemberStore geoRadiusByMemberWith
    geoRadiusRo geoRadiusRoWith geoRadiusStore geoRadiusWith geoSearch geoSearchStore geoSearchWith get getBit getDel
    getEx getRange getSet hDel hExists hExpire hExpireAt hExpireTime hGet hGetAll hGetDel hGetEx hIncrBy hIncrByFloat
    hKeys hLen hPersist hRandField hRandFieldCount hRandFieldCountWithValues hScan hScanNoValues hSet hSetEx hSetNX
    hStrLen hTTL hVals hmGet hotkeysGet hotkeysReset hotkeysStart hotkeysStop hpExpire hpExpireAt hpExpireTime hpTTL
    incr incrBy incrByFloat incrExByFloat increx info keys lIndex lInsert lLen lMove lMoveM lPop lPopCount lPos
    lPosCount lPush lPushX lRange lRem lSet lTrim lastSave latencyDoctor latencyGraph latencyHistogram latencyHistory
    latencyLatest latencyReset lcs lcsIdx lcsIdxWithMatchLen lcsLen lmPop mGet mSet mSetEx mSetNX memoryDoctor
    memoryMallocStats memoryPurge memoryStats memoryUsage migrate moduleList moduleLoad moduleUnload move
    objectEncoding objectFreq objectIdleTime objectRefCount pExpire pExpireAt pExpireTime pSetEx pTTL persist pfAdd
    pfCount pfMerge ping pubSubChannels pubSubNumPat pubSubNumSub pubSubShardChannels pubSubShardNumSub publish rPop
    rPopCount rPopLPush rPush rPushX randomKey rename renameNX replicaOf restore restoreAsking role sAdd sCard sDiff
    sDiffCard sDiffStore sInter sInterCard sInterStore sIsMember sMembers sMove sPop sPopCount sPublish sRandMember
    sRandMemberCount sRem sScan sUnion sUnionCard sUnionStore scan scriptExists scriptFlush scriptKill scriptLoad set
    setBit setEx setNX setRange smIsMember sort sortRo sortStore strLen swapDb time touch ttl type unlink vAdd vCard
    vDim vEmb vEmbRaw vGetAttr vInfo vLinks vLinksWithScores vRandMember vRange vRem vSetAttr vSim vSimWithScores xAck
    xAckDel xAdd xAddNoMkStream xAutoClaim xAutoClaimJustId xCfgSet xClaim xClaimJustId xDel xDelEx xGroupCreate
    xGroupCreateConsumer xGroupDelConsumer xGroupDestroy xGroupSetId xInfoConsumers xInfoGroups xInfoStream xLen xNack
    xPending xPendingRange xRange xRevRange xSetId xTrim zAdd zAddIncr zCard zCount zDiff zDiffStore zDiffWithScores
    zIncrBy zInter zInterCard zInterStore zInterWithScores zLexCount zPopMax zPopMaxCount zPopMin zPopMinCount
    zRandMember zRandMemberCount zRandMemberCountWithScores zRange zRangeByLex zRangeByScore zRangeByScoreWithScores
    zRangeStore zRangeWithScores zRank zRankWithScore zRem zRemRangeByLex zRemRangeByRank zRemRangeByScore zRevRank
    zRevRankWithScore zScan zScore zUnion zUnionStore zUnionWithScores zmPop zmScore
`;

/** Functions of the module namespaces that are sent on a lane. */
const FORWARDED_FUNCTIONS: Readonly<Record<string, string>> = {
  bf: `
    add card exists info insert loadChunk mAdd mExists reserve scanDump
  `,
  cms: `
    incrBy info initByDim initByProb merge query
  `,
  cf: `
    add addNX count del exists info insert insertNX loadChunk mExists reserve scanDump
  `,
  tDigest: `
    add byRank byRevRank cdf create info max merge min quantile rank reset revRank trimmedMean
  `,
  topK: `
    add count incrBy info list listWithCount query reserve
  `,
  json: `
    arrAppend arrIndex arrInsert arrLen arrPop arrTrim clear debugMemory del forget get mGet mSet merge numIncrBy
    numMultBy objKeys objLen set strAppend strLen toggle type
  `,
  ft: `
    _list aggregate aggregateWithCursor aliasAdd aliasDel aliasList aliasUpdate alter configGet configSet create
    cursorDel cursorRead dictAdd dictDel dictDump dropIndex explain explainCli hybrid info profileAggregate
    profileSearch search searchNoContent spellCheck sugAdd sugDel sugGet sugGetWithPayloads sugGetWithScores
    sugGetWithScoresWithPayloads sugLen synDump synUpdate tagVals
  `,
  ts: `
    add alter create createRule decrBy del deleteRule get incrBy info infoDebug mAdd mGet mGetSelectedLabels
    mGetWithLabels mRange mRangeGroupBy mRangeMultiAggr mRangeSelectedLabels mRangeSelectedLabelsGroupBy
    mRangeSelectedLabelsMultiAggr mRangeWithLabels mRangeWithLabelsGroupBy mRangeWithLabelsMultiAggr mRevRange
    mRevRangeGroupBy mRevRangeMultiAggr mRevRangeSelectedLabels mRevRangeSelectedLabelsGroupBy
    mRevRangeSelectedLabelsMultiAggr mRevRangeWithLabels mRevRangeWithLabelsGroupBy mRevRangeWithLabelsMultiAggr
    nRange nRevRange queryIndex queryLabelValues queryLabels range rangeMultiAggr revRange revRangeMultiAggr
  `,
};

/** Every command of node-redis 6.3 by its camelCase name (`json.get` for a function of a module), and what becomes of it. */
export const KNOWN_COMMANDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ...REFUSED_METHODS.map((name) => [name, 'refused'] as const),
  ...ISOLATED_METHODS.map((name) => [name, 'isolated'] as const),
  ...LEASED_METHODS.map((name) => [name, 'leased'] as const),
  ...UNTRUSTED_METHODS.map((name) => [name, 'untrusted'] as const),
  ...words(FORWARDED_METHODS).map((name) => [name, 'forwarded'] as const),
  ...Object.entries(FORWARDED_FUNCTIONS).flatMap(([module, functions]) =>
    words(functions).map((name) => [`${module}.${name}`, 'forwarded'] as const),
  ),
]);

/** What becomes of a method of node-redis's client that is not one of its commands. */
export type OwnKind =
  /** The pool has a method of that name. */
  | 'offered'
  /** It sends a command that a pool refuses, or keeps to isolated connections. */
  | 'refused'
  | 'isolated'
  /** It manages the connection, which is the pool's to do. */
  | 'not offered';

const OWN_METHODS: Readonly<Record<OwnKind, string>> = {
  offered: `
    hScanIterator hScanNoValuesIterator hScanValuesIterator multi pSubscribe sScanIterator sSubscribe scanIterator
    sendCommand subscribe withAbortSignal withTypeMapping zScanIterator
  `,
  refused: 'quit reset select',
  isolated: 'monitor pUnsubscribe sUnsubscribe unsubscribe unwatch watch',
  'not offered': `
    Multi asap clientSideCache close connect createPool destroy disconnect duplicate extendPubSubChannelListeners
    extendPubSubListeners getPubSubListeners isDirtyWatch isOpen isPubSubActive isReady isWatching legacy options
    reAuthenticate ref resetIfDirty setDirtyWatch socketEpoch unref withCommandOptions
  `,
};

/** Every public method and property of node-redis's client that is not one of its commands. */
export const KNOWN_OWN_METHODS: ReadonlyMap<string, OwnKind> = new Map(
  Object.entries(OWN_METHODS).flatMap(([kind, names]) => words(names).map((name) => [name, kind as OwnKind] as const)),
);

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
