"""Numbers of the fields of Kubernetes' own kinds, as clients send them.

Owns the table only. A field is `number:name:form`; forms are those of `protobuf`: `s` text, `i` number, `b` truth, `y`
bytes, or a message; `[x]` is a list, `{x}` a map from text, `?x` one whose zero is not the same as its absence.
*Source:* the generated.proto files of k8s.io/api and k8s.io/apimachinery.
"""

_REVIEW = "1:metadata:ObjectMeta "
_SUBJECT_REVIEW = "1:metadata:ObjectMeta 2:spec:SubjectAccessReviewSpec"
_ASKED = "1:resourceAttributes:ResourceAttributes 2:nonResourceAttributes:NonResourceAttributes"
_EVENT_SERIES = "1:count:i 2:lastObservedTime:MicroTime"

MESSAGES: dict[str, str] = {
    # apimachinery
    "Unknown": "1:typeMeta:TypeMeta 2:raw:y 3:contentEncoding:s 4:contentType:s",
    "TypeMeta": "1:apiVersion:s 2:kind:s",
    "IntOrString": "1:type:i 2:intVal:i 3:strVal:s",
    "ObjectMeta": (
        "1:name:s 2:generateName:s 3:namespace:s 4:selfLink:s 5:uid:s 6:resourceVersion:s 7:generation:i "
        "8:creationTimestamp:Time 9:deletionTimestamp:Time 10:deletionGracePeriodSeconds:?i 11:labels:{s} "
        "12:annotations:{s} 13:ownerReferences:[OwnerReference] 14:finalizers:[s] 17:managedFields:[ManagedFieldsEntry]"
    ),
    "OwnerReference": "1:kind:s 3:name:s 4:uid:s 5:apiVersion:s 6:controller:?b 7:blockOwnerDeletion:?b",
    "ManagedFieldsEntry": (
        "1:manager:s 2:operation:s 3:apiVersion:s 4:time:Time 6:fieldsType:s 7:fieldsV1:FieldsV1 8:subresource:s"
    ),
    "LabelSelector": "1:matchLabels:{s} 2:matchExpressions:[LabelSelectorRequirement]",
    "LabelSelectorRequirement": "1:key:s 2:operator:s 3:values:[s]",
    "DeleteOptions": (
        "1:gracePeriodSeconds:?i 2:preconditions:Preconditions 3:orphanDependents:?b 4:propagationPolicy:s 5:dryRun:[s]"
    ),
    "Preconditions": "1:uid:s 2:resourceVersion:s",
    # core/v1
    "Namespace": "1:metadata:ObjectMeta 2:spec:NamespaceSpec 3:status:NamespaceStatus",
    "NamespaceSpec": "1:finalizers:[s]",
    "NamespaceStatus": "1:phase:s",
    "ConfigMap": "1:metadata:ObjectMeta 2:data:{s} 3:binaryData:{y} 4:immutable:?b",
    "Secret": "1:metadata:ObjectMeta 2:data:{y} 3:type:s 4:stringData:{s} 5:immutable:?b",
    "Service": "1:metadata:ObjectMeta 2:spec:ServiceSpec 3:status:ServiceStatus",
    "ServiceSpec": (
        "1:ports:[ServicePort] 2:selector:{s} 3:clusterIP:s 4:type:s 5:externalIPs:[s] 7:sessionAffinity:s "
        "8:loadBalancerIP:s 9:loadBalancerSourceRanges:[s] 10:externalName:s 11:externalTrafficPolicy:s "
        "12:healthCheckNodePort:i 13:publishNotReadyAddresses:b 14:sessionAffinityConfig:SessionAffinityConfig "
        "17:ipFamilyPolicy:s 18:clusterIPs:[s] 19:ipFamilies:[s] 20:allocateLoadBalancerNodePorts:?b "
        "21:loadBalancerClass:s 22:internalTrafficPolicy:s 23:trafficDistribution:s"
    ),
    "SessionAffinityConfig": "1:clientIP:ClientIPConfig",
    "ClientIPConfig": "1:timeoutSeconds:?i",
    "ServicePort": "1:name:s 2:protocol:s 3:port:i 4:targetPort:IntOrString 5:nodePort:i 6:appProtocol:s",
    "ServiceStatus": "1:loadBalancer:LoadBalancerStatus",
    "LoadBalancerStatus": "1:ingress:[LoadBalancerIngress]",
    "LoadBalancerIngress": "1:ip:s 2:hostname:s 3:ipMode:s",
    "ServiceAccount": (
        "1:metadata:ObjectMeta 2:secrets:[ObjectReference] 3:imagePullSecrets:[LocalObjectReference] "
        "4:automountServiceAccountToken:?b"
    ),
    "ObjectReference": "1:kind:s 2:namespace:s 3:name:s 4:uid:s 5:apiVersion:s 6:resourceVersion:s 7:fieldPath:s",
    "LocalObjectReference": "1:name:s",
    "Event": (
        "1:metadata:ObjectMeta 2:involvedObject:ObjectReference 3:reason:s 4:message:s 5:source:EventSource "
        "6:firstTimestamp:Time 7:lastTimestamp:Time 8:count:i 9:type:s 10:eventTime:MicroTime 11:series:EventSeries "
        "12:action:s 13:related:ObjectReference 14:reportingComponent:s 15:reportingInstance:s"
    ),
    "EventSource": "1:component:s 2:host:s",
    "EventSeries": _EVENT_SERIES,
    # events.k8s.io/v1
    "events.k8s.io.Event": (
        "1:metadata:ObjectMeta 2:eventTime:MicroTime 3:series:EventSeries 4:reportingController:s "
        "5:reportingInstance:s 6:action:s 7:reason:s 8:regarding:ObjectReference 9:related:ObjectReference 10:note:s "
        "11:type:s 12:deprecatedSource:EventSource 13:deprecatedFirstTimestamp:Time 14:deprecatedLastTimestamp:Time "
        "15:deprecatedCount:i"
    ),
    # coordination.k8s.io/v1
    "Lease": "1:metadata:ObjectMeta 2:spec:LeaseSpec",
    "LeaseSpec": (
        "1:holderIdentity:?s 2:leaseDurationSeconds:?i 3:acquireTime:MicroTime 4:renewTime:MicroTime "
        "5:leaseTransitions:?i 6:strategy:s 7:preferredHolder:s"
    ),
    # rbac.authorization.k8s.io/v1
    "Role": "1:metadata:ObjectMeta 2:rules:[PolicyRule]",
    "ClusterRole": "1:metadata:ObjectMeta 2:rules:[PolicyRule] 3:aggregationRule:AggregationRule",
    "AggregationRule": "1:clusterRoleSelectors:[LabelSelector]",
    "PolicyRule": "1:verbs:[s] 2:apiGroups:[s] 3:resources:[s] 4:resourceNames:[s] 5:nonResourceURLs:[s]",
    "RoleBinding": "1:metadata:ObjectMeta 2:subjects:[Subject] 3:roleRef:RoleRef",
    "ClusterRoleBinding": "1:metadata:ObjectMeta 2:subjects:[Subject] 3:roleRef:RoleRef",
    "Subject": "1:kind:s 2:apiGroup:s 3:name:s 4:namespace:s",
    "RoleRef": "1:apiGroup:s 2:kind:s 3:name:s",
    # authorization.k8s.io/v1, authentication.k8s.io/v1
    "SelfSubjectAccessReview": _REVIEW + "2:spec:SelfSubjectAccessReviewSpec",
    "SelfSubjectAccessReviewSpec": _ASKED,
    "ResourceAttributes": "1:namespace:s 2:verb:s 3:group:s 4:version:s 5:resource:s 6:subresource:s 7:name:s",
    "NonResourceAttributes": "1:path:s 2:verb:s",
    "SubjectAccessReview": _SUBJECT_REVIEW,
    "LocalSubjectAccessReview": _SUBJECT_REVIEW,
    "SubjectAccessReviewSpec": (_ASKED + " 3:user:s 4:groups:[s] 5:extra:{Items} 6:uid:s"),
    "SelfSubjectRulesReview": _REVIEW + "2:spec:SelfSubjectRulesReviewSpec",
    "SelfSubjectRulesReviewSpec": "1:namespace:s",
    "SelfSubjectReview": _REVIEW.strip(),
    "TokenReview": _REVIEW + "2:spec:TokenReviewSpec",
    "TokenReviewSpec": "1:token:s 2:audiences:[s]",
    "TokenRequest": _REVIEW + "2:spec:TokenRequestSpec",
    "TokenRequestSpec": "1:audiences:[s] 3:boundObjectRef:BoundObjectReference 4:expirationSeconds:?i",
    "BoundObjectReference": "1:kind:s 2:apiVersion:s 3:name:s 4:uid:s",
}
"""Message -> its fields. Where two groups have a kind of one name, the group stands before it."""
