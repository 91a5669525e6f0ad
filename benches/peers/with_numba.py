# numpy AVX512 sort + cached numba merge kernel, 2 threads, one column at a time
import time,sys,os; t0=time.perf_counter()
import json, math, numpy as np, pyarrow as pa, pyarrow.parquet as pq, numba as nb
t1=time.perf_counter()
@nb.njit("Tuple((f8,f8))(f8[::1],f8[::1])",nogil=True,cache=True)
def ksw(x,y):
    n=len(x); m=len(y); i=0; j=0; d=0.; w=0.; prev=0.; diff=0.; first=True
    while i<n or j<m:
        if j>=m or (i<n and x[i]<=y[j]): v=x[i]
        else: v=y[j]
        if not first: w+=abs(diff)*(v-prev)
        first=False
        while i<n and x[i]==v: i+=1
        while j<m and y[j]==v: j+=1
        diff=i/n-j/m
        if abs(diff)>d: d=abs(diff)
        prev=v
    return d,w
exec(open(os.path.join(os.path.dirname(__file__),"with_numpy.py")).read().split("t1=time.perf_counter()")[1].split("def num(c):")[0].replace("import pyarrow.compute",""))
import pyarrow.compute as pc
from concurrent.futures import ThreadPoolExecutor
src=open(os.path.join(os.path.dirname(__file__),"with_numpy.py")).read()
exec("def pj"+src.split("def pj")[1].split("def one")[0])
def num(c):
    t=time.perf_counter(); v=[]; nl=[]
    for p in (base,cur):
        a=rd(p,c); nl.append(a.null_count)
        if a.null_count: a=a.drop_null()
        x=a.to_numpy(zero_copy_only=False) if a.num_chunks!=1 else a.chunk(0).to_numpy()
        v.append(np.sort(x.astype(np.float64) if x.dtype!=np.float64 else x))
    t3=time.perf_counter(); x,y=v; n,m=len(x),len(y); ks,w=ksw(x,y)
    h=(n-1)*np.arange(1,10)/10; l=h.astype(int); e=np.unique(x[l]+(x[np.minimum(l+1,n-1)]-x[l])*(h-l))
    def fr(s):
        i=np.searchsorted(s,e,side="right"); return np.diff(np.concatenate([[0],i,[len(s)]]))/len(s)
    psi,js=pj(fr(x),fr(y)); l=math.sqrt(n*m/(n+m))*ks; pv=min(1.,2*sum((-1)**(k-1)*math.exp(-2*k*k*l*l) for k in range(1,101))) if l>.2 else 1.
    T["sort"]+=t3-t; T["stat"]+=time.perf_counter()-t3
    return c,dict(ks=ks,p=pv,w1=w,psi=psi,js=js,nulls=nl)
exec("def one"+src.split("def one")[1])
